"""No input to a simulated provider fails: it is answered, or refused."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.provider import ClientAuthentication, Provider
from domain.providers.digikey import PROVIDER
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from tests.infra.simulations import CALLBACK, CLIENT_ID, CLIENT_SECRET, Simulation
from tests.infra.test_simulated_provider import EXAMPLE, provider

REVOCATION = "https://api.example/oauth/revoke"
PROVIDERS = [
    PROVIDER,
    EXAMPLE,
    provider(
        client_authentication=ClientAuthentication.BASIC,
        revocation_endpoint=REVOCATION,
        wire=WireFormat(
            token_request=BodyFormat.JSON,
            token_request_names={"grant_type": "", "code": "auth_code"},
            revocation=RevocationStyle.BEARER,
        ),
    ),
]
# Values that lead further than others, and any text.
TEXTS = st.sampled_from(
    [CLIENT_ID, CLIENT_SECRET, CALLBACK, "authorization_code", "refresh_token", "code", "S256", ""]
) | st.text(max_size=20)
NAMES = st.sampled_from(
    [
        *("client_id", "client_secret", "redirect_uri", "grant_type", "code", "auth_code"),
        *("refresh_token", "response_type", "code_challenge", "code_challenge_method", "decision"),
        *("Keywords", "Limit", "Offset", "scope", "token", "preset", "fault", "access_token"),
    ]
) | st.text(max_size=10)
JSON = st.recursive(
    TEXTS | st.sampled_from([None, "\ud800"]) | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
BODIES = st.one_of(
    st.fixed_dictionaries({"data": st.dictionaries(NAMES, TEXTS, max_size=8)}),
    # A lone surrogate is legal there (RFC 8259 §8.2).
    st.dictionaries(NAMES, JSON, max_size=8).map(lambda body: {"content": json.dumps(body)}),
    st.fixed_dictionaries({"content": st.binary(max_size=60)}),
)
PATHS = st.sampled_from(
    [
        *("/oauth/authorize", "/oauth/token", "/oauth/revoke", "/v1/oauth2/authorize"),
        *("/v1/oauth2/token", "/_control", "/settings", "/_resource", "/"),
        *("/products/v4/search/keyword", "/products/v4/search/LM358P/productdetails"),
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "content-type", "x-digikey-client-id"]),
    st.sampled_from(
        [
            *("application/json", "application/x-www-form-urlencoded", CLIENT_ID),
            *("Basic", "Basic x", "Basic //8=", "Bearer x", "Bearer"),
        ]
    ),
    max_size=3,
)


REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "DELETE"]),
        "path": PATHS,
        "headers": HEADERS,
        "params": st.dictionaries(NAMES, TEXTS, max_size=8),
    }
)


@given(st.sampled_from(PROVIDERS), REQUESTS, BODIES)
def test_any_request_is_answered_or_refused(
    played: Provider, request: dict[str, Any], body: dict[str, Any]
) -> None:
    answer = Simulation(provider=played).ask(**request, **body)
    assert answer.status_code < 500
    assert CLIENT_SECRET not in answer.text or CLIENT_SECRET in f"{request}{body}"
