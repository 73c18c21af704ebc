//! Calls against a platform that answers by script, on a clock that jumps.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use mcp_proto::context::v1::{
    AppendMessagesRequest, Context as Stored, GetContextRequest, context_service_client::ContextServiceClient,
};
use tonic::{Code, Request as Call};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::{TokenFuture, TokenUnavailable};

/// Answers by script, and keeps what it was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<Result<(), Status>>,
    asked: Vec<(Instant, HeaderMap)>,
}

// === impl Script ===

impl Script {
    fn of(answers: impl IntoIterator<Item = Result<(), Status>>) -> Self {
        Self(Arc::new(Mutex::new(Inner { answers: answers.into_iter().collect(), asked: Vec::new() })))
    }

    fn asked(&self) -> Vec<(Instant, HeaderMap)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }

    fn header(&self, at: usize, name: &str) -> String {
        self.asked()[at].1.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

impl Service<Request<Body>> for Script {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.asked.push((Instant::now(), request.headers().clone()));
        let answer = inner.answers.pop_front().unwrap_or(Ok(()));
        std::future::ready(Ok(match answer {
            Ok(()) => {
                // One empty message, and its end.
                let frames = http_body_util::StreamBody::new(tokio_stream(vec![
                    http_body::Frame::data(Bytes::from_static(&[0; 5])),
                    http_body::Frame::trailers(HeaderMap::from_iter([(
                        http::HeaderName::from_static("grpc-status"),
                        HeaderValue::from_static("0"),
                    )])),
                ]));
                Response::new(Body::new(frames))
            }
            Err(status) => status.into_http(),
        }))
    }
}

fn tokio_stream(
    frames: Vec<http_body::Frame<Bytes>>,
) -> impl futures_util::Stream<Item = Result<http_body::Frame<Bytes>, Status>> {
    futures_util::stream::iter(frames.into_iter().map(Ok))
}

fn client(script: &Script, common: Common) -> ContextServiceClient<Calls<Script>> {
    ContextServiceClient::new(Calls::new(script.clone(), common))
}

fn unavailable() -> Result<(), Status> {
    Err(Status::unavailable("not now"))
}

fn refused(code: Code, reason: &str, retry_after: Option<Duration>) -> Result<(), Status> {
    let mut details = ErrorDetails::with_error_info(reason, "mcp", std::collections::HashMap::new());
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Err(Status::with_error_details(code, "no", details))
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_until_it_is_answered() {
    let script = Script::of([unavailable(), unavailable(), Ok(())]);

    let answer = client(&script, Common::default()).get_context(GetContextRequest::default()).await;

    assert_eq!(answer.expect("answered").into_inner(), Stored::default());
    let ids: Vec<_> = (0..3).map(|at| script.header(at, REQUEST_ID)).collect();
    assert_eq!(ids[0].len(), 36);
    assert!(ids.iter().all(|id| *id == ids[0]), "one request, one ID: {ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_id_is_not_repeated_and_one_with_it_is() {
    let script = Script::of([unavailable()]);
    let refused = client(&script, Common::default()).append_messages(AppendMessagesRequest::default()).await;
    assert_eq!(refused.expect_err("not repeated").code(), Code::Unavailable);
    assert_eq!(script.asked().len(), 1);

    let script = Script::of([unavailable()]);
    let request_id = "0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11".to_owned();
    let append = AppendMessagesRequest { request_id, ..AppendMessagesRequest::default() };
    client(&script, Common::default()).append_messages(append).await.expect("repeated");
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_platform_says_when_to_come_back_and_is_obeyed() {
    let after = Duration::from_secs(3);
    let script = Script::of([refused(Code::ResourceExhausted, "RATE_LIMITED", Some(after))]);

    // Even a write without an ID: it was not done.
    client(&script, Common::default())
        .append_messages(AppendMessagesRequest::default())
        .await
        .expect("repeated");

    let asked = script.asked();
    assert!(asked[1].0 - asked[0].0 >= after);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_never_slept_through() {
    let script = Script::of([refused(Code::ResourceExhausted, "RATE_LIMITED", Some(Duration::from_secs(5)))]);
    let mut call = Call::new(GetContextRequest::default());
    call.set_timeout(Duration::from_secs(2));
    let began = Instant::now();

    let refusal = client(&script, Common::default()).get_context(call).await.expect_err("no time for it");

    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert_eq!(Instant::now(), began);
}

#[tokio::test(start_paused = true)]
async fn tries_and_budget_end() {
    let script = Script::of((0..100).map(|_| unavailable()));
    let mut client = client(&script, Common::default());

    client.get_context(GetContextRequest::default()).await.expect_err("given up");
    assert_eq!(script.asked().len(), 4);
    client.get_context(GetContextRequest::default()).await.expect_err("given up");
    client.get_context(GetContextRequest::default()).await.expect_err("given up");
    assert_eq!(script.asked().len(), 6, "the budget is spent: nobody repeats");
}

#[tokio::test(start_paused = true)]
async fn other_refusals_are_handed_on_at_once() {
    for code in [Code::NotFound, Code::PermissionDenied, Code::InvalidArgument, Code::Internal, Code::Aborted]
    {
        let script = Script::of([Err(Status::new(code, "no"))]);
        let refusal = client(&script, Common::default()).get_context(GetContextRequest::default()).await;
        assert_eq!(refusal.expect_err("handed on").code(), code);
        assert_eq!(script.asked().len(), 1, "{code:?}");
    }
}

/// Gives `old` until told that it has expired.
#[derive(Default)]
struct Renewing(Mutex<Option<String>>);

impl TokenSource for Renewing {
    fn token(&self) -> TokenFuture<'_> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move { Ok(known.unwrap_or_else(|| "old".to_owned())) })
    }

    fn expired(&self, token: &str) {
        assert_eq!(token, "old");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some("new".to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_once() {
    let expired = || refused(Code::Unauthenticated, "TOKEN_EXPIRED", None);
    let common = || Common { tokens: Some(Box::new(Renewing::default())), ..Common::default() };

    let script = Script::of([expired()]);
    client(&script, common()).get_context(GetContextRequest::default()).await.expect("answered");
    assert_eq!(script.header(0, "authorization"), "Bearer old");
    assert_eq!(script.header(1, "authorization"), "Bearer new");

    let script = Script::of([expired(), expired()]);
    let refusal = client(&script, common()).get_context(GetContextRequest::default()).await;
    assert_eq!(refusal.expect_err("the new one too").code(), Code::Unauthenticated);
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent() {
    let none = || async { Err::<String, _>(TokenUnavailable::because("signed out")) };
    let script = Script::default();

    let common = Common { tokens: Some(Box::new(none)), ..Common::default() };
    let refusal =
        client(&script, common).get_context(GetContextRequest::default()).await.expect_err("no token");

    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert!(script.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_tenant_goes_along() {
    let script = Script::default();
    let common = Common { tenant: Some(HeaderValue::from_static("acme")), ..Common::default() };

    client(&script, common).get_context(GetContextRequest::default()).await.expect("answered");

    assert_eq!(script.header(0, TENANT_ID), "acme");
}
