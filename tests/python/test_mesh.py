"""What a program meets at a service's own port: nothing, unless it is a peer."""

import pathlib
import socket
import ssl

import grpc
import pytest
from callers import Caller, refusal
from documents import licences
from grpc import StatusCode
from platform_up import Platform


@pytest.fixture
def channel(platform: Platform, gateway_certificate: pathlib.Path):
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(gateway_certificate / "ca.pem").read_bytes(),
        private_key=(gateway_certificate / "key.pem").read_bytes(),
        certificate_chain=(gateway_certificate / "cert.pem").read_bytes(),
    )
    with grpc.secure_channel(platform.services["summarization"], credentials) as opened:
        yield opened


def test_a_peer_with_a_token_bound_to_its_certificate_is_served(
    platform: Platform, gateway_certificate: pathlib.Path, channel: grpc.Channel
) -> None:
    token = platform.token("acme", "alice", bind=gateway_certificate / "cert.pem")
    peer = Caller(channel, token, "acme")

    assert peer.summarises(licences(), max_words=50).summary_words <= 50


def test_an_outside_token_that_is_bound_to_nothing_is_refused(platform: Platform, channel: grpc.Channel) -> None:
    peer = Caller(channel, platform.token("acme", "alice"), "acme")

    code, _, _ = refusal(lambda: peer.summarises("A text. And more of it."))

    assert code is StatusCode.UNAUTHENTICATED


def test_a_peer_without_a_token_is_refused(channel: grpc.Channel) -> None:
    code, _, _ = refusal(lambda: Caller(channel).summarises("A text. And more of it."))

    assert code is StatusCode.UNAUTHENTICATED


def test_a_token_bound_to_another_certificate_is_refused(
    platform: Platform, channel: grpc.Channel, tmp_path: pathlib.Path
) -> None:
    other = platform.certificate("context", tmp_path) / "cert.pem"
    thief = Caller(channel, platform.token("acme", "alice", bind=other), "acme")

    code, _, _ = refusal(lambda: thief.summarises("A text. And more of it."))

    assert code is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("service", ["auth", "context", "summarization"])
def test_without_a_certificate_the_handshake_is_refused(
    platform: Platform, gateway_certificate: pathlib.Path, service: str
) -> None:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(gateway_certificate / "ca.pem").read_bytes()
    )
    with grpc.secure_channel(platform.services[service], credentials) as stranger:
        code, _, _ = refusal(lambda: Caller(stranger).gets("contexts/01890000-0000-7000-8000-000000000000"))

    assert code is StatusCode.UNAVAILABLE


@pytest.mark.parametrize("service", ["auth", "context", "summarization"])
def test_the_refusal_is_the_handshakes_own(
    platform: Platform, gateway_certificate: pathlib.Path, service: str
) -> None:
    host, port = platform.services[service].rsplit(":", 1)
    trusting = ssl.create_default_context(cafile=gateway_certificate / "ca.pem")
    trusting.set_alpn_protocols(["h2"])

    # TLS 1.3 tells a client so with the first bytes it reads (RFC 8446, section 4.4.2.4).
    with pytest.raises(ssl.SSLError, match="(?i)certificate.required"):
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            with trusting.wrap_socket(plain, server_hostname=host) as stranger:
                assert stranger.recv(1) == b"", "the service spoke to a stranger"
                raise AssertionError("the service closed without saying why")


@pytest.mark.parametrize("service", ["auth", "context", "summarization"])
def test_plaintext_is_refused(platform: Platform, service: str) -> None:
    with grpc.insecure_channel(platform.services[service]) as stranger:
        code, _, _ = refusal(lambda: Caller(stranger).gets("contexts/01890000-0000-7000-8000-000000000000"))

    assert code is StatusCode.UNAVAILABLE
