"""Where an issuer's metadata is, which addresses are safe, and whose word counts."""

from dataclasses import replace

import pytest

from domain.metadata import ServerMetadata, is_safe_url, metadata_urls, with_metadata
from domain.provider import ClientAuthentication, Pkce
from domain.providers.custom import PROVIDER as CUSTOM


@pytest.mark.parametrize(
    ("issuer", "inserted", "appended"),
    [
        (
            "https://a.test",
            "https://a.test/.well-known/oauth-authorization-server",
            "https://a.test/.well-known/openid-configuration",
        ),
        (
            "https://a.test/",
            "https://a.test/.well-known/oauth-authorization-server",
            "https://a.test/.well-known/openid-configuration",
        ),
        (
            "https://a.test:8443/tenants/one",
            "https://a.test:8443/.well-known/oauth-authorization-server/tenants/one",
            "https://a.test:8443/tenants/one/.well-known/openid-configuration",
        ),
        (
            "https://a.test/tenants/one/",
            "https://a.test/.well-known/oauth-authorization-server/tenants/one",
            "https://a.test/tenants/one/.well-known/openid-configuration",
        ),
    ],
)
def test_metadata_is_where_rfc_8414_and_openid_connect_put_it(
    issuer: str, inserted: str, appended: str
) -> None:
    assert metadata_urls(issuer) == (inserted, appended)


def test_metadata_replaces_the_members_that_it_has() -> None:
    known = replace(CUSTOM, token_endpoint="https://a.test/old", pkce=Pkce.NONE)
    told = ServerMetadata(
        token_endpoint="https://a.test/new", client_authentication=ClientAuthentication.BASIC
    )
    assert with_metadata(known, told) == replace(
        known, token_endpoint="https://a.test/new", client_authentication=ClientAuthentication.BASIC
    )
    assert with_metadata(known, ServerMetadata()) == known
    # False is an override as well.
    always = replace(known, sends_issuer=True)
    assert not with_metadata(always, ServerMetadata(sends_issuer=False)).sends_issuer


@pytest.mark.parametrize(
    "url", ["https://a.test/x?y=1", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]:1/"]
)
def test_secrets_may_be_sent_over_https_or_within_this_machine(url: str) -> None:
    assert is_safe_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/",
        "http://10.0.0.1/",
        "http://localhost.evil.test/",
        "https://user@a.test/",
        "https://a.test/#fragment",
        "https://a.test/#",
        "https://a.test:99999/",
        "https://a b.test/",
        "https://a.test/\x7f",
        "https://a.test/é",
        "https:///x",
        "https://[::1/",
        "ftp://a.test/",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "a.test",
        "",
    ],
)
def test_checklist_17_secrets_may_be_sent_nowhere_else(url: str) -> None:
    assert not is_safe_url(url)
