"""The TLS context: which authorities it trusts, and that there is one of it."""

from pathlib import Path

import certifi
import pytest

from adapters.tls import _certifi_bundle, tls_context
from ports.network_settings import NetworkSettingsError
from tests.system.certificates import server_certificate


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_the_authorities_are_those_of_certifi() -> None:
    assert _certifi_bundle() == Path(certifi.where())
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "nowhere.pem"),
        ("SSL_CERT_FILE", "."),
        ("SSL_CERT_FILE", "empty.pem"),
        ("SSL_CERT_FILE", "text.pem"),
        ("SSL_CERT_DIR", "nowhere"),
        ("SSL_CERT_DIR", "nowhere:empty.pem"),
    ],
)
def test_a_variable_that_names_no_authorities_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(NetworkSettingsError, match=f"^{name} "):
        tls_context()
