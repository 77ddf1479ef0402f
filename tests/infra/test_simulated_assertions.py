"""The simulated provider checks client assertions (RFC 7523 §3)."""

import json
import math
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from domain.provider import ClientAuthentication
from infra.local.simulated.assertions import MAX_LIFETIME_SECONDS
from tests.client_keys import pem_of
from tests.infra.simulations import (
    ANOTHER_KEY,
    CALLBACK,
    CLIENT_ID,
    CLIENT_SECRET,
    VERIFIER,
    Clock,
    Simulation,
    by_assertion,
)
from tests.infra.test_simulated_provider import provider

REVOCATION = "https://api.example/oauth/revoke"
AUDIENCE = "https://api.example/oauth/token"
NOW = Clock().seconds


def simulation(state_path: Path | None = None) -> Simulation:
    by_key = provider(
        client_authentication=ClientAuthentication.PRIVATE_KEY_JWT, revocation_endpoint=REVOCATION
    )
    return Simulation(provider=by_key, state_path=state_path)


def is_accepted(there: Simulation, assertion: str, **change: str) -> bool:
    """Ask for a token of the client itself. A refusal is that of the client."""
    form = {"grant_type": "client_credentials", **by_assertion(assertion), **change}
    answer = there.ask("POST", there.paths.token, data=form)
    if answer.is_success:
        return True
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    return False


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        pytest.param({}, True, id="right"),
        pytest.param({"kind": ANOTHER_KEY}, False, id="another-key"),
        pytest.param({"aud": REVOCATION}, False, id="another-audience"),
        pytest.param({"aud": f"{AUDIENCE}/"}, False, id="a-longer-audience"),
        pytest.param({"aud": ["https://a.example", AUDIENCE]}, True, id="one-of-the-audiences"),
        pytest.param({"aud": None}, False, id="no-audience"),
        pytest.param({"exp": NOW}, False, id="expires-now"),
        pytest.param({"exp": NOW + 0.5}, True, id="expires-in-a-moment"),
        pytest.param({"exp": NOW + MAX_LIFETIME_SECONDS}, True, id="valid-for-an-hour"),
        pytest.param({"exp": NOW + MAX_LIFETIME_SECONDS + 1}, False, id="valid-for-longer"),
        pytest.param({"exp": math.inf}, False, id="valid-for-ever"),
        pytest.param({"exp": 10**400}, False, id="expires-beyond-all-numbers"),
        pytest.param({"exp": None}, False, id="no-expiry"),
        pytest.param({"exp": True}, False, id="expiry-is-no-time"),
        pytest.param({"iss": "another"}, False, id="another-issuer"),
        pytest.param({"sub": "another"}, False, id="another-subject"),
        pytest.param({"sub": None}, False, id="no-subject"),
        pytest.param({"jti": None}, False, id="no-id"),
        pytest.param({"jti": 7}, False, id="id-is-a-number"),
        pytest.param({"jti": "\ud800"}, True, id="id-is-a-lone-surrogate"),
        pytest.param({"nbf": math.inf}, False, id="begins-never"),
    ],
)
def test_assertion_needs_the_client_s_key_audience_time_and_names(
    change: dict[str, str], *, accepted: bool
) -> None:
    there = simulation()
    assert is_accepted(there, there.assertion(**change)) is accepted


def _signed_otherwise(key: str, algorithm: str) -> str:
    claims = jwt.decode(simulation().assertion(), options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm=algorithm)


def _nested() -> str:
    head = urlsafe_b64encode(b"[" * 20_000).decode()
    return f"{head}.e30.e30"


@pytest.mark.parametrize(
    "assertion",
    [
        pytest.param(lambda: _signed_otherwise(CLIENT_SECRET * 3, "HS256"), id="by-a-secret"),
        pytest.param(lambda: _signed_otherwise(pem_of("rsa"), "RS256"), id="by-another-kind"),
        pytest.param(lambda: _signed_otherwise("", "none"), id="unsigned"),
        pytest.param(_nested, id="nested-deeply"),
        *(pytest.param(lambda text=text: text, id=text or "none") for text in ("", "é", "a.b.c")),
    ],
)
def test_other_texts_are_refused(assertion: Callable[[], str]) -> None:
    assert not is_accepted(simulation(), assertion())


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        # RFC 7521 §4.2: it is optional, and has to be the same.
        ({"client_id": ""}, True),
        ({"client_id": "another"}, False),
        ({"client_assertion_type": "another"}, False),
        ({"client_assertion_type": ""}, False),
        ({"client_secret": "ignored"}, True),
    ],
)
def test_members_beside_the_assertion(change: dict[str, str], *, accepted: bool) -> None:
    there = simulation()
    assert is_accepted(there, there.assertion(), **change) is accepted


def test_assertion_is_used_once_also_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    there = simulation(state)
    used, other = there.assertion(jti="one"), there.assertion(jti="another")
    assert is_accepted(there, used)
    assert not is_accepted(there, used)
    # Another assertion with the same id.
    assert not is_accepted(there, there.assertion(jti="one", exp=NOW + 30))
    assert not is_accepted(simulation(state), used)
    assert is_accepted(simulation(state), other)
    # The id is kept as long as the assertion is valid.
    assert len(json.loads(state.read_text())["assertions"]) == 2
    there = simulation(state)
    there.clock.seconds += 60
    assert not is_accepted(there, used)
    assert is_accepted(there, there.assertion(jti="one"))
    assert len(json.loads(state.read_text())["assertions"]) == 1


def test_refused_assertion_is_not_used_up() -> None:
    there = simulation()
    assert not is_accepted(there, there.assertion(kind=ANOTHER_KEY, jti="one"))
    assert is_accepted(there, there.assertion(jti="one"))


def test_moved_clock_does_not_concern_assertions() -> None:
    there = simulation()
    there.control(shift_clock=7200)
    assert is_accepted(there, there.assertion())


def test_code_refresh_and_revocation_each_need_an_assertion() -> None:
    there = simulation()
    code = {"grant_type": "authorization_code", "code": there.authorize()["code"]}
    form = {**code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    used = by_assertion(there.assertion())
    tokens = there.tokens(there.ask("POST", there.paths.token, data={**form, **used}))
    assert tokens.refresh_token is not None
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    assert there.ask("POST", there.paths.token, data={**form, **used}).status_code == 401
    tokens = there.tokens(there.refresh(tokens.refresh_token))
    form = {"token": tokens.access_token}
    by_secret = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    for credentials, status in ((used, 401), (by_secret, 401), (None, 200)):
        accepted = credentials or by_assertion(there.assertion())
        answer = there.ask("POST", str(there.paths.revocation), data={**form, **accepted})
        assert answer.status_code == status
        assert there.accepts(tokens.access_token) is (status == 401)
