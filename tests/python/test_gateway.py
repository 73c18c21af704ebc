"""What a Python program meets at the gateway: native gRPC over TLS."""

import uuid

import grpc
import pytest
from callers import Caller, refusal
from documents import licences, one_megabyte
from grpc import StatusCode
from mcp.context.v1 import context_pb2
from platform_up import Platform


@pytest.fixture
def channel(platform: Platform):
    credentials = grpc.ssl_channel_credentials(root_certificates=platform.edge_ca)
    with grpc.secure_channel(platform.gateway, credentials) as opened:
        yield opened


@pytest.fixture
def alice(platform: Platform, channel: grpc.Channel) -> Caller:
    return Caller(channel, platform.token("acme", "alice"), "acme")


def test_a_real_document_is_read_back_as_it_was_stored(alice: Caller) -> None:
    name = alice.stores(licences())

    assert alice.reads(name) == licences()
    assert alice.gets(name).message_count == 1


def test_a_real_document_is_summarised(alice: Caller) -> None:
    answer = alice.summarises(licences(), max_words=100)

    assert 20 <= answer.summary_words <= 100
    assert answer.source_words > 10_000
    source = licences().encode()
    for span in answer.source_spans:
        assert 0 <= span.start_byte < span.end_byte <= len(source)


def test_one_megabyte_is_stored_and_summarised(alice: Caller) -> None:
    document = one_megabyte()

    name = alice.stores(document)

    assert alice.reads(name) == document
    assert alice.summarises(document).summary_words <= 120


def test_the_parts_of_a_stream_join_to_the_whole(alice: Caller) -> None:
    parts = alice.streams(licences())

    assert len(parts) > 2
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.summary for part in parts) == alice.summarises(licences()).summary


def test_a_window_keeps_to_its_budget(alice: Caller) -> None:
    name = alice.stores(licences())

    window = alice.call(
        alice.contexts.AssembleWindow, context_pb2.AssembleWindowRequest(name=name, max_tokens=300)
    )

    assert 0 < window.token_count <= 300
    assert any(part.summarized for part in window.parts)


def test_a_repeated_request_id_stores_once(alice: Caller) -> None:
    request = context_pb2.CreateContextRequest(
        context=context_pb2.Context(type="text", title="once"), request_id=str(uuid.uuid4())
    )

    first, second = (alice.call(alice.contexts.CreateContext, request) for _ in range(2))

    assert first.name == second.name


def test_nobody_gets_in_without_a_token(channel: grpc.Channel) -> None:
    code, _, _ = refusal(lambda: Caller(channel).summarises("A text. And more of it."))

    assert code is StatusCode.UNAUTHENTICATED


def test_a_forged_token_opens_nothing(platform: Platform, channel: grpc.Channel) -> None:
    head, body, signature = platform.token("acme", "alice").split(".")
    changed = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    forger = Caller(channel, f"{head}.{body}.{changed}", "acme")

    code, _, _ = refusal(lambda: forger.summarises("A text. And more of it."))

    assert code is StatusCode.UNAUTHENTICATED


def test_a_token_does_not_open_the_tenant_that_a_header_names(platform: Platform, channel: grpc.Channel) -> None:
    stray = Caller(channel, platform.token("acme", "alice"), "globex")

    code, _, _ = refusal(lambda: stray.summarises("A text. And more of it."))

    assert code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED)


def test_a_viewer_may_not_write(platform: Platform, channel: grpc.Channel) -> None:
    viewer = Caller(channel, platform.token("acme", "victor", "viewer"), "acme")

    code, _, _ = refusal(lambda: viewer.stores("graffiti"))

    assert code is StatusCode.PERMISSION_DENIED


def test_another_tenants_context_looks_like_one_that_never_was(
    platform: Platform, channel: grpc.Channel, alice: Caller
) -> None:
    mallory = Caller(channel, platform.token("globex", "mallory", "owner"), "globex")
    name = alice.stores("the plan")
    nowhere = "contexts/01890000-0000-7000-8000-000000000000"

    foreign = refusal(lambda: mallory.gets(name))
    absent = refusal(lambda: mallory.gets(nowhere))

    assert foreign == absent
    assert foreign[0] is StatusCode.NOT_FOUND
    assert foreign[2] == "NOT_FOUND"


def test_an_invalid_message_is_refused_before_it_is_handled(alice: Caller) -> None:
    code, _, _ = refusal(lambda: alice.gets("contexts/not-an-id"))

    assert code is StatusCode.INVALID_ARGUMENT


def test_an_oversize_text_is_refused(alice: Caller) -> None:
    code, _, _ = refusal(lambda: alice.summarises("a word " * 800_000))

    assert code in (StatusCode.RESOURCE_EXHAUSTED, StatusCode.INVALID_ARGUMENT)
