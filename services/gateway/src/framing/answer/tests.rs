//! What the client gets of what the service answers.

use std::time::Duration;

use futures_util::stream::{self, Stream as Chunks};
use http_body_util::{BodyExt as _, StreamBody};
use mcp_proto::POOL;
use proptest::prelude::*;

use super::*;
use crate::framing::request::Meter;

/// `body`, cut at `cuts`.
pub(crate) fn cut<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

/// `parts` as the frames of a body.
pub(crate) fn chunks(parts: Vec<&[u8]>) -> impl Chunks<Item = Result<Frame<Bytes>, Status>> + Unpin + use<> {
    let frames: Vec<_> =
        parts.into_iter().map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect();
    stream::iter(frames)
}

fn output() -> MessageDescriptor {
    POOL.get_message_by_name("mcp.auth.v1.SignInLocallyResponse").expect("ours")
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([
        ("grpc-status".parse().expect("a name"), "0".parse().expect("a value")),
        ("x-note".parse().expect("a name"), "seen".parse().expect("a value")),
    ])
}

fn upstream(frames: Vec<Result<Frame<Bytes>, Status>>) -> tonic::body::Body {
    tonic::body::Body::new(StreamBody::new(stream::iter(frames)))
}

async fn answer(inner: tonic::body::Body, protocol: Protocol) -> (Vec<u8>, Option<HeaderMap>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let stream = Stream::new(inner, protocol, &output(), Arc::<Meter>::default(), deadline);
    let gathered = EdgeBody::stream(stream).collect().await.expect("infallible");
    let trailers = gathered.trailers().cloned();
    (gathered.to_bytes().to_vec(), trailers)
}

const WEB: Protocol = Protocol::Web { text_in: false, text_out: false };
const TEXT: Protocol = Protocol::Web { text_in: true, text_out: true };

proptest! {
    #[test]
    fn each_protocol_gets_the_same_messages_and_its_own_end(
        roles in prop::collection::vec("[a-z]{1,12}", 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
    ) {
        use prost::Message as _;
        let message = |role: &String| mcp_proto::auth::v1::SignInLocallyResponse { role: role.clone(), ..Default::default() };
        let body: Vec<u8> = roles.iter().flat_map(|role| wrap(0, &message(role).encode_to_vec())).collect();
        let inner = || {
            let mut frames: Vec<_> = cut(&body, &cuts).into_iter().map(|part| Ok(Frame::data(Bytes::copy_from_slice(part)))).collect();
            frames.push(Ok(Frame::trailers(trailers())));
            upstream(frames)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (got, end) = answer(inner(), Protocol::Grpc).await;
            assert_eq!((got, end), (body.clone(), Some(trailers())));

            let expected = [&body[..], &trailers::web(&trailers())].concat();
            let (got, end) = answer(inner(), WEB).await;
            assert_eq!((&got, end), (&expected, None));
            let (text, _) = answer(inner(), TEXT).await;
            let mut decoder = base64::Decoder::default();
            assert_eq!(decoder.feed(&text).expect("base64"), expected);
            assert_eq!(decoder.end(), Ok(()));

            let end = trailers::connect(&trailers());
            let (got, _) = answer(inner(), Protocol::ConnectStream(Codec::Proto)).await;
            assert_eq!(got, [&body[..], &end].concat());
            let json: Vec<u8> = roles.iter().flat_map(|role| wrap(0, format!(r#"{{"role":"{role}"}}"#).as_bytes())).collect();
            let (got, _) = answer(inner(), Protocol::ConnectStream(Codec::Json)).await;
            assert_eq!(got, [&json[..], &end].concat());
        });
    }
}

#[test]
fn the_end_of_a_web_body_is_one_frame_of_lines() {
    assert_eq!(&trailers::web(&trailers())[..], b"\x80\0\0\0\x1cgrpc-status:0\r\nx-note:seen\r\n");
    assert_eq!(&trailers::connect(&trailers())[..], b"\x02\0\0\0\x20{\"metadata\":{\"x-note\":[\"seen\"]}}");
}

#[tokio::test]
async fn a_service_that_breaks_off_is_told_of_and_never_a_dropped_connection() {
    for frames in [
        vec![Ok(Frame::data(wrap(0, b""))), Err(Status::unknown("reset"))],
        vec![Ok(Frame::data(wrap(0, b"")))],
    ] {
        let again: Vec<_> = frames
            .iter()
            .map(|it| it.as_ref().map(|_| Frame::data(wrap(0, b""))).map_err(Clone::clone))
            .collect();
        let (_, end) = answer(upstream(frames), Protocol::Grpc).await;
        let status = Status::from_header_map(&end.expect("trailers")).expect("a status");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(mcp_rpc::reason_of(&status).as_deref(), Some("UPSTREAM_UNAVAILABLE"));

        let (body, _) = answer(upstream(again), WEB).await;
        assert!(String::from_utf8_lossy(&body).contains("grpc-status:14\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stalls_is_ended_at_the_deadline() {
    let stalled = stream::once(async { Ok::<_, Status>(Frame::data(wrap(0, b""))) }).chain(stream::pending());
    let (_, end) = answer(tonic::body::Body::new(StreamBody::new(Box::pin(stalled))), Protocol::Grpc).await;

    assert_eq!(trailers::code(&end.expect("trailers")), Code::DeadlineExceeded);
}

use futures_util::StreamExt as _;

#[tokio::test]
async fn what_is_of_the_mesh_is_not_in_the_trailers() {
    let mut inner = trailers();
    inner.insert("x-mcp-peer", "service/context".parse().expect("a value"));
    let frames = vec![Ok(Frame::data(wrap(0, b""))), Ok(Frame::trailers(inner))];
    let (_, end) = answer(upstream(frames), Protocol::Grpc).await;

    assert_eq!(end, Some(trailers()));
}
