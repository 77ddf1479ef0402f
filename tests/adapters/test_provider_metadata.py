"""An issuer's metadata: its own endpoints, and nothing nearer than the issuer."""

import pytest

from adapters.provider_metadata import UnusableMetadataError, read_metadata
from domain.provider import GrantType

ISSUER = "https://issuer.test"
ENDPOINTS = {
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
}


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:6379/", "http://localhost/", "HTTP://[::1]:2375/containers"]
)
def test_checklist_17_an_issuer_that_is_elsewhere_has_nothing_called_on_this_machine(
    name: str, url: str
) -> None:
    with pytest.raises(UnusableMetadataError, match="loopback"):
        read_metadata({"issuer": ISSUER, **ENDPOINTS, name: url}, ISSUER)


@pytest.mark.parametrize("issuer", [ISSUER, "http://localhost:9000", "http://127.0.0.1:9000"])
def test_an_issuer_on_this_machine_may_name_it_and_each_may_name_https(issuer: str) -> None:
    here = {name: f"{issuer}/{name}" for name in ENDPOINTS}
    for endpoints in (here, ENDPOINTS):
        found = read_metadata({"issuer": issuer, **endpoints}, issuer)
        assert found.token_endpoint == endpoints["token_endpoint"]


def test_an_endpoint_without_tls_is_refused() -> None:
    # As Keycloak publishes it behind a proxy that ends TLS (keycloak/keycloak#20549).
    metadata = {"issuer": ISSUER, **ENDPOINTS, "token_endpoint": "http://issuer.test/token"}
    with pytest.raises(UnusableMetadataError, match="token_endpoint is neither https"):
        read_metadata(metadata, ISSUER)


def test_only_logins_need_an_authorization_endpoint() -> None:
    metadata = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}
    with pytest.raises(UnusableMetadataError, match="not usable: authorization_endpoint"):
        read_metadata(metadata, ISSUER)
    found = read_metadata(metadata, ISSUER, GrantType.CLIENT_CREDENTIALS)
    assert (found.token_endpoint, found.authorization_endpoint) == (f"{ISSUER}/token", None)
    with pytest.raises(UnusableMetadataError, match="token_endpoint"):
        read_metadata({"issuer": ISSUER}, ISSUER, GrantType.CLIENT_CREDENTIALS)


NEAR = ["https://127.0.0.1:8443/", "https://localhost/", "https://[::1]/", "https://127.1/"]
INSIDE = ["https://10.0.0.1/", "https://[fd00::1]/", "https://[::ffff:192.168.0.1]/"]


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("url", [*NEAR, *INSIDE, "https://169.254.169.254/"])
def test_an_issuer_that_is_elsewhere_names_nothing_in_this_network(name: str, url: str) -> None:
    with pytest.raises(UnusableMetadataError, match="network"):
        read_metadata({"issuer": ISSUER, **ENDPOINTS, name: url}, ISSUER)


@pytest.mark.parametrize("issuer", ["https://10.9.0.1", "https://[fd00::9]:8443"])
def test_an_issuer_in_this_network_names_its_hosts_and_not_this_machine(issuer: str) -> None:
    for url in (*INSIDE, ISSUER):
        metadata = dict.fromkeys(ENDPOINTS, url)
        assert read_metadata({"issuer": issuer, **metadata}, issuer).token_endpoint == url
    for url in NEAR:
        with pytest.raises(UnusableMetadataError, match="network"):
            read_metadata({"issuer": issuer, **ENDPOINTS, "token_endpoint": url}, issuer)


@pytest.mark.parametrize(
    ("found", "quoted"),
    [
        (f"{ISSUER}/", f"'{ISSUER}/'"),
        ("https://login.test/{tenantid}/v2.0", "put the tenant's id in ISSUER"),
        ("https://é.test/" + "x" * 1_000, "'https://\\xe9.test/xxx"),
    ],
)
def test_another_issuer_is_quoted(found: str, quoted: str) -> None:
    with pytest.raises(UnusableMetadataError) as raised:
        read_metadata({"issuer": found, **ENDPOINTS}, ISSUER)
    assert quoted in str(raised.value)
    assert len(str(raised.value)) < 300
