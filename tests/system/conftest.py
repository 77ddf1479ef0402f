"""Fixtures for tests of whole deployments."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.stores import StoreKind, WorkersStore, store_of


@pytest.fixture
def plain_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the tests' own clients use no proxy and load no certificate authorities."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(params=StoreKind, ids=lambda kind: kind.value)
def store(
    request: pytest.FixtureRequest,
    plain_loopback: None,  # noqa: ARG001 - for its effect
) -> Iterator[WorkersStore]:
    """Each store in turn."""
    with store_of(request.param) as store:
        yield store
