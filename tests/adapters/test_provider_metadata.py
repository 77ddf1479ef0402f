"""What an issuer says of itself: where it is, and not where anything else is."""

import pytest

from adapters.provider_metadata import UnusableMetadataError, read_metadata

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
