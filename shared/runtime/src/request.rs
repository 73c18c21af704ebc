//! Which request a piece of work is for, told to whatever it calls without being handed from call to call.

use mcp_types::RequestId;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The request that the present work is for, where it is for one.
pub fn current_request_id() -> Option<RequestId> {
    CURRENT.try_with(RequestId::clone).ok()
}

/// Does `work` for the request `id`; of a future, each poll is such a piece of work.
pub fn for_request<T>(id: &RequestId, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id.clone(), work)
}

#[cfg(test)]
mod tests {
    //! What work knows of its request.

    use super::*;

    #[test]
    fn work_knows_its_own_request_and_no_other() {
        let (outer, inner): (RequestId, RequestId) = ("outer".parse().unwrap(), "inner".parse().unwrap());
        assert_eq!(current_request_id(), None);
        for_request(&outer, || {
            for_request(&inner, || assert_eq!(current_request_id(), Some(inner.clone())));
            assert_eq!(current_request_id(), Some(outer.clone()));
        });
        assert_eq!(current_request_id(), None);
    }
}
