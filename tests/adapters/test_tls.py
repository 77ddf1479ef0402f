"""The TLS context: which authorities it trusts, and that there is one of it."""

from pathlib import Path

import certifi
import pytest

from adapters.tls import _certifis_file, tls_context
from tests.system.certificates import server_certificate


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_the_authorities_are_those_of_certifi() -> None:
    assert _certifis_file() == Path(certifi.where())
    assert len(tls_context().get_ca_certs()) > 50


def test_there_is_one_context_of_the_same_authorities() -> None:
    assert tls_context() is tls_context()


def test_the_variables_of_openssl_name_other_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tls_context()
    server_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    (authority,) = tls_context().get_ca_certs()
    assert authority["subject"] == ((("commonName", "scripted"),),)
    assert tls_context() is not usual
