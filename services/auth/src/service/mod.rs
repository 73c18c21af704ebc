//! Wire in, wire out: what each method does, with the scope that the call was admitted with.
//!
//! Each method is two steps: the gRPC side takes the scope out of the call, the inner one does the work with it,
//! so that the inner one can be tested with nothing around it.
//!
//! ```text
//! sign_in.rs   SignInLocally, IssueDevelopmentToken
//! exchange.rs  ExchangeCredential
//! tenants.rs   TenantService, and the founding of tenants
//! members.rs   MemberService
//! grpc.rs      the generated traits, served by the above
//! ```

mod exchange;
mod grpc;
mod members;
mod sign_in;
mod tenants;
#[cfg(test)]
mod tests;

use std::{str::FromStr, sync::Arc};

use mcp_proto::auth::v1 as pb;
use mcp_rpc::{chain, internal, refusal};
use mcp_runtime::Stop;
use mcp_store::StoreError;
use mcp_tenancy::PlatformScope;
use mcp_types::{Clock, Timestamp};
use tokio::sync::watch;
use tonic::{Code, Status, service::Routes};

use crate::{
    access,
    keys::KeyError,
    paging::PageTokens,
    store::{Members, Tenants},
    tokens::Tokens,
};

/// The auth service, over a store.
#[derive(Debug)]
pub(crate) struct Auth<S> {
    /// What it remembers.
    pub(crate) store: S,
    /// What it signs with.
    pub(crate) tokens: Tokens,
    /// What the pages of lists are found by.
    pub(crate) pages: PageTokens,
    /// What every service of the mesh watches.
    pub(crate) access: watch::Sender<Arc<pb::AccessSnapshot>>,
    /// Whether anybody may sign in by naming a tenant and a user.
    pub(crate) local_sign_in: bool,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The word to stop, for streams that would go on for ever.
    pub(crate) stop: Stop,
}

// === impl Auth ===

impl<S: Tenants + Members> Auth<S> {
    /// All its methods, as routes.
    pub(crate) fn routes(self: &Arc<Self>) -> Routes {
        let mut routes = Routes::builder();
        routes
            .add_service(pb::auth_service_server::AuthServiceServer::from_arc(Arc::clone(self)))
            .add_service(pb::tenant_service_server::TenantServiceServer::from_arc(Arc::clone(self)))
            .add_service(pb::member_service_server::MemberServiceServer::from_arc(Arc::clone(self)))
            .add_service(pb::role_service_server::RoleServiceServer::from_arc(Arc::clone(self)));
        routes.routes()
    }

    /// Tells every watcher what holds for access now, where that is not what they were told last; returns it then.
    pub(crate) async fn announce(
        &self,
        scope: &PlatformScope,
    ) -> Result<Option<Arc<pb::AccessSnapshot>>, StoreError> {
        let told = Arc::clone(&self.access.borrow());
        if access::snapshot(&self.tokens, told.version) == *told {
            return Ok(None);
        }
        let least = self.clock.now().unix_secs().unsigned_abs();
        let version = self.store.access_version(scope, &access::digest(&self.tokens), least).await?;
        let snapshot = Arc::new(access::snapshot(&self.tokens, version));
        self.access.send_replace(Arc::clone(&snapshot));
        tracing::info!(version, "what holds for access has changed");
        Ok(Some(snapshot))
    }
}

/// A name out of a request. The codec has held it to its rule already, so a refusal here is a gap between the two.
fn parsed<T: FromStr>(text: &str) -> Result<T, Status>
where
    T::Err: std::error::Error,
{
    text.parse().map_err(|error: T::Err| refusal(Code::InvalidArgument, "FIELD_INVALID", error.to_string()))
}

/// What the caller hears where the store could not serve.
fn store_failed(error: &StoreError) -> Status {
    if error.is_passing() {
        tracing::warn!(error = %chain(error), "the store is busy");
        return refusal(Code::Unavailable, "STORE_BUSY", "the store is busy; try again in a moment");
    }
    internal("use the store", error)
}

/// What the caller hears where no token could be signed.
fn not_signed(error: &KeyError) -> Status {
    if error.is_passing() {
        tracing::warn!(error = %chain(error), "no token can be signed at the moment");
        let words = "tokens cannot be signed at the moment; try again in a moment";
        return refusal(Code::Unavailable, "SIGNING_UNAVAILABLE", words);
    }
    internal("sign a token", error)
}

fn wire_time(moment: Timestamp) -> prost_types::Timestamp {
    let millis = moment.unix_millis();
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        nanos: i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    }
}
