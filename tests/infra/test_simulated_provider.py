"""The simulated provider plays what a preset's data says: rotation, wire format, errors."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.token_response import read_revocation
from domain.error_meanings import Meaning, meaning_of
from domain.provider import (
    AssumedLifetime,
    ClientAuthentication,
    LifetimeStart,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)
from domain.token_endpoint import RevocationResult, TokenErrorResponse, TokenResponse
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from functions.settings.presets import load, names
from infra.local.simulated.paths import Paths, prefix_of
from infra.local.simulated.state_file import load_state
from tests.infra.simulations import CALLBACK, CLIENT_SECRET, VERIFIER, Simulation

A_MOMENT = 0.001
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EXAMPLE = Provider(
    name="example",
    authorization_endpoint="https://login.example/oauth/authorize",
    token_endpoint="https://api.example/oauth/token",
    access_token_lifetime=HOUR,
    refresh_token_lifetime=30 * DAY,
)


def provider(**changes: Any) -> Provider:
    return replace(EXAMPLE, **changes)


def rotating(kind: RotationKind, *, grace: timedelta = timedelta(0)) -> Provider:
    return provider(rotation=Rotation(kind=kind, grace=grace))


def wired(**differences: Any) -> Provider:
    return provider(wire=WireFormat(**differences))


def refresh_token(tokens: TokenResponse) -> str:
    assert tokens.refresh_token is not None
    return tokens.refresh_token


# --- each preset


@pytest.mark.parametrize("name", names())
def test_every_preset_is_played_from_login_to_a_dead_refresh_token(name: str) -> None:
    preset = load(name)
    assert preset is not None
    # Under another name, so that a vendor's own API and errors do not take part.
    there = Simulation(provider=replace(preset, name="played"))
    tokens = there.log_in()
    assert there.accepts(tokens.access_token)
    if tokens.refresh_token is None:
        assert _does_not_expire(preset)
        assert there.control()["lifetimes"]["access_token"] is None
        return
    known = refresh_token(tokens)
    for _ in range(2):
        _let_expire(there)
        assert not there.accepts(tokens.access_token)
        tokens = there.tokens(there.refresh(known))
        known = tokens.refresh_token or known
        assert there.accepts(tokens.access_token)
    there.control(revoke_grants=True)
    assert not there.accepts(tokens.access_token)
    assert meaning_of(there.refusal(there.refresh(known))) is Meaning.DEAD
    wrong_secret = there.request_tokens(
        {"grant_type": "refresh_token", "refresh_token": known}, secret="wrong"
    )
    if preset.client_authentication is not ClientAuthentication.NONE:
        assert meaning_of(there.refusal(wrong_secret)) is Meaning.CONFIGURATION


def _does_not_expire(preset: Provider) -> bool:
    assumed = preset.access_token_lifetime
    return assumed is None or (isinstance(assumed, AssumedLifetime) and not preset.lifetime_members)


def _let_expire(there: Simulation) -> None:
    lifetime = there.control()["lifetimes"]["access_token"]
    there.clock.seconds += lifetime


@pytest.mark.parametrize("name", names())
def test_paths_of_every_preset_are_its_own_and_differ(name: str) -> None:
    preset = load(name)
    assert preset is not None
    paths = Paths.of(preset)
    found = [paths.authorization, paths.token, paths.revocation]
    found += [] if paths.refresh == paths.token else [paths.refresh]
    given = [path for path in found if path is not None]
    assert len(set(given)) == len(given)
    assert all(path.startswith("/") and "{" not in path for path in given)
    assert not {"/", "/settings", "/_control", "/_resource"} & set(given)


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        pytest.param({}, ("/oauth/authorize", "/oauth/token", None), id="as-they-are"),
        pytest.param(
            {"authorization_endpoint": "", "token_endpoint": ""},
            ("/authorize", "/token", None),
            id="unknown",
        ),
        pytest.param(
            {
                "authorization_endpoint": "https://www.example/oauth",
                "token_endpoint": "https://api.example/oauth",
                "revocation_endpoint": "https://api.example/oauth/",
            },
            ("/oauth", "/oauth/token", "/oauth/"),
            id="the-same-on-two-hosts",
        ),
        pytest.param(
            {
                "token_endpoint": "https://{dc}.example/{tenant}/{realm}/token",
                "placeholders": {"tenant": ("common", "consumers")},
            },
            ("/oauth/authorize", "/common/simulated/token", None),
            id="placeholders",
        ),
        pytest.param(
            {"token_endpoint": f"http://localhost:8000{prefix_of('example')}/t"},
            ("/oauth/authorize", "/t", None),
            id="already-simulated",
        ),
    ],
)
def test_paths_are_those_of_the_endpoints(
    endpoints: dict[str, Any], expected: tuple[str, str, str | None]
) -> None:
    paths = Paths.of(provider(**endpoints), prefix=prefix_of("example"))
    assert (paths.authorization, paths.token, paths.revocation) == expected


# --- rotation and lifetimes


@pytest.mark.parametrize(
    ("kind", "replaced"),
    [
        (RotationKind.NONE, [False, False, False]),
        (RotationKind.OPTIONAL, [True, False, True]),
        (RotationKind.ALWAYS, [True, True, True]),
    ],
)
def test_refresh_replaces_the_refresh_token_as_the_rotation_says(
    kind: RotationKind, replaced: list[bool]
) -> None:
    there = Simulation(provider=rotating(kind))
    known = refresh_token(there.log_in())
    found = []
    for _ in replaced:
        new = there.tokens(there.refresh(known)).refresh_token
        found.append(new is not None)
        known = new or known
    assert found == replaced


@pytest.mark.parametrize(
    ("after", "is_accepted"), [(0.0, True), (60.0 - A_MOMENT, True), (60.0, False)]
)
def test_replaced_refresh_token_is_accepted_within_the_grace(
    after: float, *, is_accepted: bool
) -> None:
    there = Simulation(provider=rotating(RotationKind.OPTIONAL, grace=timedelta(minutes=1)))
    old = refresh_token(there.log_in())
    newer = there.tokens(there.refresh(old))
    there.clock.seconds += after
    answer = there.refresh(old)
    if is_accepted:
        # Also where a refresh may keep the refresh token: it is not known here.
        newest = refresh_token(there.tokens(answer))
        assert newest not in {old, newer.refresh_token}
        there.tokens(there.refresh(newest))
    else:
        assert there.refusal(answer).error == "invalid_grant"
        assert not there.accepts(newer.access_token)
        assert there.refusal(there.refresh(refresh_token(newer))).error == "invalid_grant"


@pytest.mark.parametrize("use", ["nothing", "access token", "refresh token"])
def test_use_of_a_new_token_ends_the_grace_where_the_preset_says_so(use: str) -> None:
    grace = timedelta(hours=1)
    rotation = Rotation(kind=RotationKind.ALWAYS, grace=grace, until_used=True)
    there = Simulation(provider=provider(rotation=rotation))
    first = there.log_in()
    # Only the tokens of the refresh end it, not the one before.
    second = there.tokens(there.refresh(refresh_token(first)))
    assert there.accepts(first.access_token)
    match use:
        case "access token":
            assert there.accepts(second.access_token)
        case "refresh token":
            there.tokens(there.refresh(refresh_token(second)))
        case _:
            there.clock.seconds += grace.total_seconds() - A_MOMENT
    old = there.refresh(refresh_token(first))
    assert old.is_success is (use == "nothing")
    assert there.control()["rotation"] == "always;grace=until-used:3600s"


@pytest.mark.parametrize("kind", list(RotationKind))
def test_no_refresh_extends_a_login_beyond_its_end(kind: RotationKind) -> None:
    there = Simulation(
        provider=replace(
            rotating(kind),
            refresh_token_counted=LifetimeStart.USE,
            login_lifetime=40 * DAY,
        )
    )
    known = refresh_token(there.log_in())
    for _ in range(2):
        there.clock.seconds += (20 * DAY).total_seconds() - A_MOMENT
        known = there.tokens(there.refresh(known)).refresh_token or known
    there.clock.seconds += A_MOMENT * 3
    assert there.refusal(there.refresh(known)).error == "invalid_grant"


@pytest.mark.parametrize("ends", [False, True])
def test_refresh_ends_the_old_access_token_only_where_the_preset_says_so(*, ends: bool) -> None:
    there = Simulation(provider=provider(refresh_ends_access_token=ends))
    first = there.log_in()
    second = there.tokens(there.refresh(refresh_token(first)))
    assert there.accepts(first.access_token) is not ends
    assert there.accepts(second.access_token)


@pytest.mark.parametrize(
    ("kind", "counted", "is_extended"),
    [
        (RotationKind.ALWAYS, LifetimeStart.ISSUE, True),
        (RotationKind.NONE, LifetimeStart.ISSUE, False),
        (RotationKind.ALWAYS, LifetimeStart.USE, True),
        (RotationKind.NONE, LifetimeStart.USE, True),
        (RotationKind.ALWAYS, LifetimeStart.LOGIN, False),
        (RotationKind.NONE, LifetimeStart.LOGIN, False),
    ],
)
def test_lifetime_of_the_refresh_token_starts_as_the_preset_says(
    kind: RotationKind, counted: LifetimeStart, *, is_extended: bool
) -> None:
    there = Simulation(provider=replace(rotating(kind), refresh_token_counted=counted))
    first = there.log_in()
    there.clock.seconds += DAY.total_seconds()
    second = there.tokens(there.refresh(refresh_token(first)))
    known = second.refresh_token or refresh_token(first)
    # The instant at which the first lifetime ends.
    there.clock.seconds += (29 * DAY).total_seconds()
    assert there.refresh(known).is_success is is_extended


def test_access_token_that_does_not_expire_has_no_lifetime_and_no_refresh_token() -> None:
    there = Simulation(provider=provider(access_token_lifetime=None))
    answer = there.exchange(there.authorize()["code"])
    assert set(answer.json()) == {"access_token", "token_type"}
    there.clock.seconds += (3000 * DAY).total_seconds()
    assert there.accepts(answer.json()["access_token"])
    assert "does not expire" in there.ask("GET", "/").text
    # With a lifetime it needs one.
    there.control(lifetimes={"access_token": 600})
    assert there.tokens(there.refresh(refresh_token(there.log_in()))).expires_in == timedelta(
        seconds=599
    )
    there.control(lifetimes={"access_token": "never"})
    assert there.log_in().refresh_token is None


def test_assumed_lifetime_is_played_unless_no_answer_has_one() -> None:
    assumed = provider(access_token_lifetime=AssumedLifetime(timedelta(minutes=5)))
    assert Simulation(provider=assumed).log_in().expires_in == timedelta(seconds=299)
    there = Simulation(provider=replace(assumed, lifetime_members=()))
    assert there.log_in().refresh_token is None
    assert there.control()["lifetimes"]["access_token"] is None


@pytest.mark.parametrize(("left", "is_refused"), [(30.0, False), (31.0, True), (3600.0, True)])
def test_refresh_is_refused_while_the_access_token_is_valid_for_too_long(
    left: float, *, is_refused: bool
) -> None:
    there = Simulation(provider=provider(refresh_only_within=timedelta(seconds=30)))
    known = refresh_token(there.log_in())
    there.clock.seconds += 3600.0 - left
    answer = there.refresh(known)
    assert answer.is_success is not is_refused
    if is_refused:
        assert (answer.status_code, answer.headers["retry-after"]) == (429, f"{left - 30:.0f}")
        assert meaning_of(there.refusal(answer)) is Meaning.TRY_LATER
        there.clock.seconds += left - 30
        there.tokens(there.refresh(known))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(("expires_in",), {"expires_in": 3599}, id="usual"),
        pytest.param((), {}, id="none"),
        pytest.param(
            ("expires_in", "x_refresh_token_expires_in"),
            {"expires_in": 3599, "x_refresh_token_expires_in": 2591999},
            id="another-name",
        ),
        pytest.param(("expires_at",), {"expires_at": "2023-11-14T23:13:19Z"}, id="an-instant"),
    ],
)
def test_answer_has_the_lifetimes_that_the_preset_names(
    members: tuple[str, ...], expected: dict[str, object]
) -> None:
    there = Simulation(provider=provider(lifetime_members=members))
    answer = there.exchange(there.authorize()["code"]).json()
    assert set(answer) - set(expected) == {"access_token", "refresh_token", "token_type"}
    assert {name: answer[name] for name in expected} == expected


# --- the wire format


@pytest.mark.parametrize("method", ClientAuthentication)
def test_only_the_preset_s_client_authentication_is_accepted(
    method: ClientAuthentication,
) -> None:
    there = Simulation(provider=provider(client_authentication=method))
    known = refresh_token(there.log_in())
    form = {"grant_type": "refresh_token", "refresh_token": known}
    answers = {
        other: Simulation.request_tokens(
            _as_client(there, other), form, secret=CLIENT_SECRET
        ).is_success
        for other in ClientAuthentication
        if other is not method
    }
    # A public client sends what it must not need: its secret in the form is ignored.
    may_have_more = {ClientAuthentication.POST} if method is ClientAuthentication.NONE else set()
    assert {other for other, is_accepted in answers.items() if is_accepted} == may_have_more
    wrong = there.request_tokens(form, secret="wrong")
    if method is not ClientAuthentication.NONE:
        assert there.refusal(wrong).error == "invalid_client"


def _as_client(there: Simulation, method: ClientAuthentication) -> Simulation:
    """Return a client that authenticates in another way at the same provider."""
    other = Simulation(provider=replace(there.provider, client_authentication=method))
    other.app = there.app
    return other


@pytest.mark.parametrize(
    ("pkce", "verifier", "is_accepted"),
    [
        pytest.param(Pkce.S256, VERIFIER, True, id="right"),
        pytest.param(Pkce.S256, "x" * 43, False, id="wrong"),
        pytest.param(Pkce.S256, "é" * 43, False, id="not-ascii"),
        pytest.param(Pkce.S256, "", False, id="missing"),
        pytest.param(Pkce.NONE, "x" * 43, True, id="not-supported"),
    ],
)
def test_code_verifier_is_checked_where_the_provider_supports_it(
    pkce: Pkce, verifier: str, *, is_accepted: bool
) -> None:
    there = Simulation(provider=provider(pkce=pkce))
    code = there.authorize()["code"]
    assert there.exchange(code, code_verifier=verifier).is_success is is_accepted


def test_code_challenge_is_never_valid_if_it_is_not_ascii() -> None:
    there = Simulation(provider=EXAMPLE)
    code = there.authorize(code_challenge="é" * 43)["code"]
    assert there.refusal(there.exchange(code)).error == "invalid_grant"


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        (ClientAuthentication.NONE, {"code_challenge": ""}, 400),
        (ClientAuthentication.POST, {"code_challenge": ""}, 200),
        (ClientAuthentication.POST, {"code_challenge_method": "plain"}, 400),
    ],
)
def test_public_client_needs_a_code_challenge(
    method: ClientAuthentication, change: dict[str, str], status: int
) -> None:
    there = Simulation(provider=provider(client_authentication=method))
    asked = {
        "response_type": "code",
        "client_id": "a-client",
        "redirect_uri": CALLBACK,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        **change,
    }
    assert there.ask("GET", "/oauth/authorize", params=asked).status_code == status


def test_names_of_the_provider_are_required_and_rfc_names_are_unknown_to_it() -> None:
    theirs = {"client_id": "client_key", "scope": "permissions"}
    there = Simulation(
        provider=wired(
            authorization_names=theirs,
            callback_code="auth_code",
            token_request_names={"client_id": "client_key", "code": "auth_code", "grant_type": ""},
        )
    )
    redirect = there.authorize(scope="read write")
    assert set(redirect) == {"auth_code", "state"}
    tokens = there.tokens(there.exchange(redirect["auth_code"]))
    assert tokens.scope == "read write"
    there.tokens(there.refresh(refresh_token(tokens)))
    standard = Simulation(provider=EXAMPLE)
    standard.app = there.app
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert standard.refusal(standard.request_tokens(form)).error == "invalid_client"


def test_omitted_parameters_are_not_required() -> None:
    there = Simulation(
        provider=wired(
            authorization_names={"response_type": "", "client_id": "app"},
            token_request_names={"grant_type": "", "redirect_uri": "", "code_verifier": ""},
        )
    )
    there.tokens(there.refresh(refresh_token(there.log_in(code_challenge=""))))


def test_json_requests_are_required_where_the_preset_says_so() -> None:
    there = Simulation(provider=wired(token_request=BodyFormat.JSON))
    known = refresh_token(there.log_in())
    with_form = Simulation(provider=EXAMPLE)
    with_form.app = there.app
    assert with_form.refresh(known).status_code == 400
    there.tokens(there.refresh(known))


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "{", '{"grant_type": 1}', "[" * 10_000),
        '{"client_id": "a-client", "client_secret": "\\ud800"}',
    ],
)
def test_json_that_is_no_request_is_refused(body: str) -> None:
    there = Simulation(provider=wired(token_request=BodyFormat.JSON))
    headers = {"content-type": "application/json"}
    answer = there.ask("POST", there.paths.token, content=body, headers=headers)
    assert answer.status_code in {400, 401}
    assert "error" in answer.json()


def test_refreshes_have_an_endpoint_of_their_own() -> None:
    there = Simulation(
        provider=wired(
            refresh_endpoint="https://api.example/oauth/refresh",
            token_request_names={"grant_type": "grant"},
        )
    )
    assert there.paths.refresh == "/oauth/refresh"
    tokens = there.log_in()
    # Figma's has no grant type.
    bare = {"refresh_token": refresh_token(tokens), "client_id": "a-client"}
    answer = there.ask("POST", "/oauth/refresh", data={**bare, "client_secret": CLIENT_SECRET})
    again = there.tokens(answer)
    code = {"grant": "authorization_code", "code": "x", "client_id": "a-client"}
    assert there.ask("POST", "/oauth/refresh", data=code).status_code == 400
    there.tokens(there.refresh(refresh_token(again)))


@pytest.mark.parametrize(
    ("played", "named"),
    [
        pytest.param(provider(token_params=(("resource", "a"),)), "resource=a", id="each"),
        pytest.param(wired(code_params=(("audience", "b"),)), "audience=b", id="code"),
        pytest.param(wired(refresh_params=(("expiring", "1"),)), "expiring=1", id="refresh"),
        pytest.param(wired(headers=(("Version", "7"),)), "header Version", id="header"),
    ],
)
def test_fixed_parameters_and_headers_are_required(played: Provider, named: str) -> None:
    there = Simulation(provider=played)
    there.tokens(there.refresh(refresh_token(there.log_in())))
    without = Simulation(provider=EXAMPLE)
    without.app = there.app
    answers = [without.exchange(there.authorize()["code"]), without.refresh("x")]
    refused = [answer.json().get("error_description") for answer in answers]
    assert f"Required param : {named}" in refused


def test_parameters_repeat_only_where_the_preset_repeats_them() -> None:
    resources = (("resource", "https://a.example"), ("resource", "https://b.example"))
    there = Simulation(provider=provider(token_params=resources))
    there.log_in()
    twice = {"grant_type": ["refresh_token", "refresh_token"], "resource": ["x", "x"]}
    answer = there.ask("POST", there.paths.token, data=twice)
    assert "more than once" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("played", "expected"),
    [
        pytest.param(
            provider(token_type="bot", response_members=("instance_url", "team.id")),
            {
                "access_token": str,
                "token_type": "bot",
                "expires_in": 3599,
                "refresh_token": str,
                "instance_url": "https://instance-url.example",
                "team": {"id": "simulated-id"},
            },
            id="more-members",
        ),
        pytest.param(
            wired(response_names={"access_token": "token", "expires_in": ""}),
            {"token": str, "token_type": "Bearer", "refresh_token": str},
            id="other-names",
        ),
        pytest.param(
            provider(wire=WireFormat(tokens_at="data.user"), response_members=("data.user.id",)),
            {
                "access_token": str,
                "token_type": "Bearer",
                "data": {
                    "user": {
                        "id": "simulated-id",
                        "access_token": str,
                        "token_type": "Bearer",
                        "expires_in": 3599,
                        "refresh_token": str,
                    }
                },
            },
            id="inside",
        ),
    ],
)
def test_answer_has_the_form_of_the_provider(played: Provider, expected: dict[str, Any]) -> None:
    there = Simulation(provider=played)
    answer = there.exchange(there.authorize()["code"]).json()
    assert _texts_as_type(answer, expected) == expected
    inside = answer["data"]["user"] if "data" in answer else answer
    assert there.accepts(inside.get("token") or inside["access_token"])
    if inside is not answer:
        assert not there.accepts(answer["access_token"])


def _texts_as_type(answer: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with `str` for a text of which only the type is expected."""
    return {
        name: _texts_as_type(value, expected[name])
        if isinstance(value, dict)
        else str
        if expected.get(name) is str and isinstance(value, str)
        else value
        for name, value in answer.items()
    }


def test_redirect_has_what_the_preset_names() -> None:
    issuer = "https://login.example"
    there = Simulation(
        provider=provider(callback_members=("realmId",), issuer=issuer, sends_issuer=True)
    )
    redirect = there.authorize()
    assert redirect.pop("code")
    assert redirect == {"state": "a-state", "realmId": "simulated-realmId", "iss": issuer}
    assert "iss" not in Simulation(provider=provider(issuer=issuer)).authorize()


def test_redirect_uri_may_be_a_name() -> None:
    there = Simulation(provider=EXAMPLE, redirect_names={"A_Name": CALLBACK})
    code = there.authorize(redirect_uri="A_Name")["code"]
    assert there.exchange(code).status_code == 400
    there.tokens(
        there.exchange(there.authorize(redirect_uri="A_Name")["code"], redirect_uri="A_Name")
    )


# --- errors


@pytest.mark.parametrize(
    ("aliases", "dead"),
    [
        pytest.param({}, {"error": "invalid_grant"}, id="rfc-6749"),
        pytest.param({"session_closed": "invalid_grant"}, {"error": "session_closed"}, id="a-code"),
        pytest.param(
            {"the session is closed": "invalid_grant"},
            {"error": "invalid_request", "error_description": "the session is closed"},
            id="a-text",
        ),
    ],
)
def test_dead_refresh_token_is_refused_in_the_provider_s_words(
    aliases: dict[str, str], dead: dict[str, str]
) -> None:
    there = Simulation(provider=provider(error_aliases=aliases))
    answer = there.refresh("dead")
    assert answer.status_code == 400
    assert dead.items() <= answer.json().items()
    assert meaning_of(there.refusal(answer)) is Meaning.DEAD
    # Without the preset's words, its answer means something else.
    if aliases:
        without = Simulation(provider=EXAMPLE).refusal(answer)
        assert meaning_of(without) is not Meaning.DEAD


# --- revocation


@pytest.mark.parametrize(
    ("style", "request_of"),
    [
        pytest.param(
            RevocationStyle.STANDARD,
            lambda token: {
                "data": {
                    "token": token,
                    "client_id": "a-client",
                    "client_secret": CLIENT_SECRET,
                }
            },
            id="rfc-7009",
        ),
        pytest.param(RevocationStyle.JSON, lambda token: {"json": {"token": token}}, id="json"),
        pytest.param(
            RevocationStyle.BEARER,
            lambda token: {"headers": {"authorization": f"Bearer {token}"}},
            id="bearer",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revocation_ends_the_grant(style: RevocationStyle, request_of: Any, kind: str) -> None:
    there = Simulation(
        provider=provider(
            revocation_endpoint="https://api.example/oauth/revoke",
            wire=WireFormat(revocation=style),
        )
    )
    other, tokens = there.log_in(), there.log_in()
    assert there.ask("POST", "/oauth/revoke", **request_of("unknown")).is_success
    assert there.accepts(tokens.access_token)
    answer = there.ask("POST", "/oauth/revoke", **request_of(getattr(tokens, kind)))
    assert _revocation(answer) is RevocationResult.REVOKED
    assert not there.accepts(tokens.access_token)
    assert there.refusal(there.refresh(refresh_token(tokens))).error == "invalid_grant"
    assert there.accepts(other.access_token)


def test_revocation_by_rfc_7009_requires_the_client() -> None:
    there = Simulation(provider=provider(revocation_endpoint="https://api.example/revoke"))
    tokens = there.log_in()
    answer = there.ask("POST", "/revoke", data={"token": tokens.access_token})
    assert isinstance(_revocation(answer), TokenErrorResponse)
    assert there.accepts(tokens.access_token)


def _revocation(answer: httpx.Response) -> object:
    return read_revocation(answer, answer.content, EXAMPLE)


# --- the client itself


def test_client_gets_a_token_without_a_login_and_without_a_refresh_token() -> None:
    there = Simulation(provider=EXAMPLE)
    form = {"grant_type": "client_credentials", "scope": "read"}
    first, second = (there.tokens(there.request_tokens(form)) for _ in range(2))
    assert (first.refresh_token, first.scope) == (None, "read")
    assert first.expires_in == timedelta(seconds=3599)
    assert there.accepts(first.access_token)
    assert there.accepts(second.access_token)
    there.clock.seconds += 3600 - A_MOMENT
    assert there.accepts(first.access_token)
    there.clock.seconds += A_MOMENT * 2
    assert not there.accepts(first.access_token)
    assert there.control()["statistics"]["client_credentials"] == 2
    assert there.refusal(there.request_tokens(form, secret="wrong")).error == "invalid_client"


def test_public_client_gets_none_that_way() -> None:
    there = Simulation(provider=provider(client_authentication=ClientAuthentication.NONE))
    answer = there.request_tokens({"grant_type": "client_credentials"})
    assert there.refusal(answer).error == "unsupported_grant_type"


# --- control


def test_another_preset_is_played_at_once_and_the_first_paths_stay() -> None:
    there = Simulation(provider=EXAMPLE)
    known = refresh_token(there.log_in())
    changed = there.control(preset="digikey", lifetimes={"code": 7})
    assert changed["preset"] == "digikey"
    assert changed["lifetimes"] == {
        "code": 7,
        "access_token": 1800,
        "refresh_token": 7776000,
        "client_credentials": 600,
    }
    assert "simulated Digi-Key" in there.ask("GET", "/").text
    # The deployment still sends requests to the paths of the start.
    assert set(there.refresh(known).json()) == {
        "access_token",
        "token_type",
        "refresh_token",
        "expires_in",
        "refresh_token_expires_in",
    }
    wrong = there.ask("POST", "/v1/oauth2/token", data={"grant_type": "refresh_token"})
    assert wrong.json()["ErrorMessage"] == "Invalid clientId"
    answer = there.ask("POST", "/settings", data={"preset": "example"})
    assert answer.status_code == 400, "not a preset's name: only the first one may have it"


def test_first_provider_can_be_played_again_as_it_was() -> None:
    custom = load("custom")
    assert custom is not None
    there = Simulation(provider=replace(custom, token_type="own"))
    there.control(preset="digikey")
    assert there.control(preset="custom")["preset"] == "custom"
    assert there.exchange(there.authorize()["code"]).json()["token_type"] == "own"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"preset": "digikei", "lifetimes": {"code": 1}}, "similar to digikey"),
        ({"preset": "../custom"}, "preset"),
        ({"preset": 7}, "preset"),
        ({"lifetimes": {"access_token": "soon"}}, "lifetimes.access_token"),
        ({"lifetimes": {"code": "never"}}, "lifetimes.code"),
        ({"revoke_grants": "yes"}, "revoke_grants"),
    ],
)
def test_bad_change_is_refused_and_changes_nothing(change: dict[str, Any], named: str) -> None:
    there = Simulation(provider=EXAMPLE)
    before = there.control()
    answer = there.ask("POST", "/_control", json=change)
    assert answer.status_code == 400
    assert named in answer.json()["detail"]
    assert there.control() == before


def test_form_of_the_page_plays_a_preset_and_revokes_all() -> None:
    there = Simulation(provider=EXAMPLE)
    tokens = there.log_in()
    assert there.ask("POST", "/settings", data={"preset": "custom"}).status_code == 303
    assert "<option selected>custom" in there.ask("GET", "/").text
    assert there.accepts(tokens.access_token)
    assert there.ask("POST", "/settings", data={"revoke_grants": "true"}).status_code == 303
    assert not there.accepts(tokens.access_token)
    assert "revoked on the control page" in there.ask("GET", "/").text


# --- the state file


def test_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "simulated-digikey.json"
    grant = {
        "code": "c0de",
        "given_at": 1.5,
        "access_tokens": {"acce55": 1801.5},
        "refresh_token": "4ef4e54",
        "refresh_token_expires_at": 7776001.5,
        "replaced_refresh_tokens": {"01d": 7776001.5},
    }
    revoked = {"given_at": 1.0, "revoked_at": 2.0, "because": "its code was used twice"}
    before = {
        "codes": {"c0de5": {"redirect_uri": CALLBACK, "expires_at": 61.0}},
        "grants": {"5eed": grant},
        "revoked": [revoked],
        "clock_shift": 5.0,
    }
    path.write_text(json.dumps(before))
    state = load_state(path)
    assert state.grants["5eed"].replaced_refresh_tokens == {"01d": 7776001.5}
    assert (state.clock_shift, state.client_tokens, len(state.revoked)) == (5.0, {}, 1)
    assert state.codes["c0de5"].code_challenge is None
