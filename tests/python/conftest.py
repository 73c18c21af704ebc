"""One running platform for all tests."""

import pathlib
from collections.abc import Iterator

import pytest
from platform_up import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"))
    yield running
    assert running.stop() == 0, f"mcp up did not stop cleanly:\n{running.log.read_text()}"


@pytest.fixture(scope="session")
def gateway_certificate(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return platform.certificate("gateway", tmp_path_factory.mktemp("certificate"))
