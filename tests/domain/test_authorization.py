"""The authorization request of a login, and the check of its response."""

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from domain.authorization import (
    LOGIN_LIFETIME,
    PendingLogin,
    authorization_url,
    code_challenge,
    fingerprint,
    is_signed,
    login_key,
    sign_state,
)
from domain.events import Precedence
from domain.provider import Provider
from domain.providers.custom import PROVIDER
from domain.token_endpoint import AuthorizationCodeRequest
from domain.wire_format import WireFormat
from tests.domain.examples import DIGIKEY, MINUTE, T0

# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
# FIPS 180-2, appendix B.1.
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

RFC_4231_CASE_2 = ("what do ya want for nothing?", b"Jefe")
TICK = timedelta(microseconds=1)

PENDING = PendingLogin(
    connection="default",
    redirect_uri="https://keeper.test/api/callback",
    code_verifier=None,
    expires_at=T0 + LOGIN_LIFETIME,
)
CHALLENGED = replace(PENDING, code_verifier=VERIFIER)
CUSTOM = replace(
    PROVIDER,
    authorization_endpoint="https://a.test/authorize",
    token_endpoint="https://a.test/token",
    scope="read write",
)
ASKED = [
    ("response_type", "code"),
    ("client_id", "a-client"),
    ("redirect_uri", "https://keeper.test/api/callback"),
    ("state", "a state"),
]


def asked_of(
    provider: Provider, pending: PendingLogin = PENDING
) -> tuple[str, list[tuple[str, str]]]:
    """Return the address that the browser is sent to, and the parameters."""
    url = authorization_url(provider, client_id="a-client", state="a state", pending=pending)
    parts = urlsplit(url)
    return parts._replace(query="").geturl(), parse_qsl(parts.query, strict_parsing=True)


def test_a_login_takes_ten_minutes_at_most() -> None:
    assert LOGIN_LIFETIME == 10 * MINUTE


@pytest.mark.parametrize(
    ("now", "is_alive"),
    [
        (T0 - MINUTE - TICK, False),
        (T0 - MINUTE, True),
        (T0, True),
        (T0 + LOGIN_LIFETIME - TICK, True),
        (T0 + LOGIN_LIFETIME, False),
    ],
)
def test_a_pending_login_is_valid_until_it_expires_unless_it_began_too_far_ahead(
    now: datetime, *, is_alive: bool
) -> None:
    assert PENDING.is_valid(now) is is_alive


# The state.


def test_a_state_is_signed_by_the_first_half_of_its_hmac() -> None:
    token, key = RFC_4231_CASE_2
    assert sign_state(token, key) == f"{token}-5bdcc146bf60754e6a042426089575c7"


@pytest.mark.parametrize("token", ["token", "a-token-of-parts", "-", ""])
def test_every_key_verifies_a_state(token: str) -> None:
    state = sign_state(token, b"second")
    assert is_signed(state, [b"first", b"second", b"third"])
    assert not is_signed(state, [b"first", b"third"])
    assert not is_signed(state, [])


@pytest.mark.parametrize(
    "state",
    ["", "x", "-", "token", sign_state("other", b"key").replace("other", "token"), "t\u00f6ken-0"],
)
def test_a_state_without_a_valid_signature_is_refused(state: str) -> None:
    assert not is_signed(state, [b"key"])


# The request.


def test_the_browser_asks_for_a_code_and_names_client_callback_and_state() -> None:
    assert asked_of(DIGIKEY) == ("https://api.digikey.com/v1/oauth2/authorize", ASKED)


@pytest.mark.parametrize(
    ("names", "params", "expected"),
    [
        pytest.param({"client_id": "client_key"}, (), [("client_key", "a-client")], id="TikTok"),
        pytest.param(
            {"client_id": ""},
            (("application_id", "amzn1.sp.x"),),
            [("application_id", "amzn1.sp.x")],
            id="Amazon's Selling Partner API",
        ),
        pytest.param(
            {"response_type": ""},
            (("response_type", "auth_code"),),
            [("response_type", "auth_code")],
            id="another response type",
        ),
        pytest.param({"scope": "user_scope"}, (), [("user_scope", "read write")], id="Slack"),
        pytest.param(
            {"code_challenge": "challenge"}, (), [("challenge", CHALLENGE)], id="challenge"
        ),
    ],
)
def test_parameters_have_the_providers_names(
    names: dict[str, str], params: tuple[tuple[str, str], ...], expected: list[tuple[str, str]]
) -> None:
    same = [pair for pair in asked_of(CUSTOM, CHALLENGED)[1] if pair[0] not in names]
    wire = WireFormat(authorization_names=names)
    provider = replace(CUSTOM, wire=wire, authorization_params=params)
    assert sorted(asked_of(provider, CHALLENGED)[1]) == sorted([*same, *expected])


def test_a_scope_and_a_challenge_are_sent_if_there_are_any() -> None:
    assert asked_of(CUSTOM, CHALLENGED)[1] == [
        *ASKED,
        ("scope", "read write"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]


def test_a_providers_parameters_are_added_and_replace_none_of_the_login() -> None:
    wayward = replace(
        DIGIKEY, authorization_params=(("prompt", "consent"), ("state", "x"), ("scope", "more"))
    )
    asked = dict(asked_of(wayward)[1])
    assert asked == {**dict(ASKED), "prompt": "consent", "scope": "more"}


def test_each_resource_is_sent() -> None:
    resources = [("resource", "https://a.test"), ("resource", "https://b.test")]
    endpoint = "https://a.test/?resource=of-the-endpoint"
    provider = replace(
        CUSTOM, authorization_endpoint=endpoint, authorization_params=tuple(resources)
    )
    assert [pair for pair in asked_of(provider)[1] if pair[0] == "resource"] == resources


def test_an_endpoint_that_has_a_query_keeps_it() -> None:
    provider = replace(CUSTOM, scope=None, authorization_endpoint="https://a.test/?tenant=1")
    assert asked_of(provider) == ("https://a.test/", [("tenant", "1"), *ASKED])


def test_a_parameter_in_the_endpoints_query_is_not_repeated() -> None:
    endpoint = "https://a.test/?prompt=select_account&client%5Fid=other&state=x=y&tenant=%2f&y"
    provider = replace(
        CUSTOM,
        scope=None,
        authorization_params=(("prompt", "consent"),),
        authorization_endpoint=endpoint,
    )
    url = authorization_url(provider, client_id="a-client", state="a state", pending=PENDING)
    assert url.startswith("https://a.test/?tenant=%2f&y&prompt=consent&response_type=code&")
    assert parse_qsl(urlsplit(url).query)[2:] == ASKED


def test_spaces_are_written_so_that_every_provider_reads_them() -> None:
    url = authorization_url(CUSTOM, client_id="a-client", state="a state", pending=PENDING)
    assert "scope=read%20write" in url
    assert "+" not in url


def test_a_challenge_is_the_hash_of_its_verifier_as_rfc_7636_writes_it() -> None:
    assert code_challenge(VERIFIER) == CHALLENGE


# The response.


def test_the_code_is_exchanged_with_the_redirect_uri_and_verifier_of_its_request() -> None:
    pending = replace(PENDING, code_verifier=VERIFIER)
    assert pending.code_request("a-code") == AuthorizationCodeRequest(
        code="a-code", redirect_uri="https://keeper.test/api/callback", code_verifier=VERIFIER
    )


@pytest.mark.parametrize(
    ("expected", "sends_issuer", "told", "passes"),
    [
        (None, False, None, True),
        (None, False, "https://b.test", True),
        (None, True, None, True),
        ("https://a.test", False, None, True),
        ("https://a.test", True, None, False),
        ("https://a.test", False, "https://a.test", True),
        ("https://a.test", True, "https://a.test", True),
        ("https://a.test", False, "https://b.test", False),
        ("https://a.test", True, "https://b.test", False),
    ],
)
def test_checklist_7_an_issuer_has_to_be_the_one_that_was_asked_and_to_name_itself_if_it_does(
    expected: str | None, told: str | None, *, sends_issuer: bool, passes: bool
) -> None:
    pending = replace(PENDING, issuer=expected, issuer_is_required=sends_issuer)
    assert pending.is_issuer_valid(told) is passes


@pytest.mark.parametrize(
    ("is_same_browser", "comes_from", "passes"),
    [
        (None, None, True),
        (None, "any", True),
        ("one", "one", True),
        ("one", "other", False),
        ("one", None, False),
    ],
)
def test_checklist_1_a_login_is_finished_in_the_browser_in_which_it_began(
    is_same_browser: str | None, comes_from: str | None, *, passes: bool
) -> None:
    remembered = None if is_same_browser is None else fingerprint(is_same_browser)
    assert replace(PENDING, browser=remembered).is_same_browser(comes_from) is passes


def test_the_fingerprint_of_a_secret_is_its_sha_256() -> None:
    assert fingerprint("abc") == SHA256_OF_ABC
    assert login_key("abc") == SHA256_OF_ABC


# The precedence over a grant that works.


@pytest.mark.parametrize(
    ("browser", "replaces", "precedence"),
    [
        (None, False, Precedence.RENEWS),
        (None, True, Precedence.REPLACES),
        (SHA256_OF_ABC, False, Precedence.YIELDS),
        # Without an API key a login replaces nothing that works.
        (SHA256_OF_ABC, True, Precedence.YIELDS),
    ],
)
def test_only_a_login_that_began_with_an_api_key_may_replace_a_grant_that_works(
    browser: str | None, *, replaces: bool, precedence: Precedence
) -> None:
    assert replace(PENDING, browser=browser, replaces=replaces).precedence is precedence
