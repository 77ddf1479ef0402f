"""Fixtures that the tests of the ports and of the adapters share."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.ports.store_contract import (
    CROWD_PROCESSES,
    STORES,
    Processes,
    StoreInUse,
    StoreUnderTest,
)
from tests.system.certificates import server_certificate


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Make a certificate of 127.0.0.1 that clients trust."""
    context = server_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    return context


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    processes = Processes(CROWD_PROCESSES)
    yield processes
    processes.close()


@pytest.fixture(scope="module", params=STORES, ids=[kind.name for kind in STORES])
def kind(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    kind = request.param
    assert isinstance(kind, StoreUnderTest)
    with kind.around():
        yield kind


@pytest.fixture
async def in_use(
    kind: StoreUnderTest, tmp_path: Path, processes: Processes
) -> AsyncIterator[StoreInUse]:
    store = StoreInUse(kind, tmp_path, processes)
    yield store
    await store.close()
