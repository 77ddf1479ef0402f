"""The simulated Digi-Key: its rules at their exact boundaries, its HTTP, its own process."""

import asyncio
import json
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from domain.providers.digikey import PROVIDER
from infra.local.simulated.application import SimulatedProvider
from infra.local.simulated.codes import AuthorizationRequest, Client
from infra.local.simulated.grants import Tokens
from infra.local.simulated.lifetimes import Lifetimes
from infra.local.simulated.refusals import Refusal
from infra.local.simulated.rules import MAX_REVOKED_GRANTS, AuthorizationServer
from infra.local.simulated.state import State
from infra.local.simulated.state_file import StateFileError, load_state, save_state
from tests.system.simulated_digikey import Form, simulated_digikey

CALLBACK = "https://keeper.example/api/callback"
CLIENT = {"client_id": "a-client", "client_secret": "a-secret"}
ASKED = {
    "response_type": "code",
    "client_id": "a-client",
    "redirect_uri": CALLBACK,
    "state": "a state & <b>",
}
MINUTE, HALF_AN_HOUR, NINETY_DAYS = 60.0, 1800.0, 7_776_000.0
A_MOMENT = 0.001


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


# --- the rules, without HTTP


def rules(clock: Clock) -> AuthorizationServer:
    return AuthorizationServer(
        provider=PROVIDER,
        client=Client(
            client_id="a-client",
            client_secret="a-secret",
            redirect_uris=(CALLBACK, "https://localhost/"),
        ),
        lifetimes=Lifetimes.of(PROVIDER),
        state=State(),
        now=clock,
    )


def code_from(server: AuthorizationServer) -> str:
    return server.give_code(AuthorizationRequest(redirect_uri=CALLBACK, state=None))


def exchange(
    server: AuthorizationServer, code: str, redirect_uri: str = CALLBACK
) -> Tokens | Refusal:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    return server.answer_token_request({**CLIENT, **form})


def refresh(server: AuthorizationServer, refresh_token: str) -> Tokens | Refusal:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return server.answer_token_request({**CLIENT, **form})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The tokens that a code or a refresh gives at Digi-Key: always two."""

    access_token: str
    refresh_token: str
    answer: Tokens


def given(answer: Tokens | Refusal) -> Pair:
    assert isinstance(answer, Tokens), answer
    assert answer.refresh_token is not None
    return Pair(access_token=answer.access_token, refresh_token=answer.refresh_token, answer=answer)


def reason(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.reason


@pytest.mark.parametrize(
    ("age", "is_valid"), [(0.0, True), (MINUTE - A_MOMENT, True), (MINUTE, False)]
)
def test_code_gives_tokens_for_less_than_a_minute(age: float, *, is_valid: bool) -> None:
    server = rules(clock := Clock())
    code = code_from(server)
    clock.seconds += age
    if not is_valid:
        assert reason(exchange(server, code)) == "invalid_grant"
        return
    tokens = given(exchange(server, code))
    answer = tokens.answer
    assert (answer.expires_in, answer.refresh_token_expires_in) == (1799, 7_775_999)
    assert server.is_access_token_valid(tokens.access_token)


def test_code_used_again_is_refused_and_revokes_what_it_gave() -> None:
    server = rules(clock := Clock())
    tokens = given(exchange(server, code := code_from(server)))
    newer = given(refresh(server, tokens.refresh_token))
    # The code itself has long expired: it is still known as the one that gave this grant.
    clock.seconds += MINUTE * 2
    assert reason(exchange(server, code)) == "invalid_grant"
    assert reason(exchange(server, code)) == "invalid_grant"
    assert not server.is_access_token_valid(tokens.access_token)
    assert not server.is_access_token_valid(newer.access_token)
    assert reason(refresh(server, newer.refresh_token)) == "invalid_grant"


@pytest.mark.parametrize("uri", ["https://localhost/", f"{CALLBACK}/", CALLBACK.upper(), ""])
def test_code_serves_only_with_the_redirect_uri_it_was_given_for(uri: str) -> None:
    server = rules(Clock())
    code = code_from(server)
    assert reason(exchange(server, code, uri)) == "invalid_redirect_uri"
    given(exchange(server, code))


def test_codes_and_tokens_are_all_different_and_of_one_use() -> None:
    server = rules(Clock())
    assert code_from(server) != code_from(server)
    first = given(exchange(server, code_from(server)))
    second = given(refresh(server, first.refresh_token))
    access = [first.access_token, second.access_token]
    tokens = [*access, first.refresh_token, second.refresh_token]
    assert len(set(tokens)) == len(tokens)
    # A refresh leaves the older access token valid.
    assert [each for each in tokens if server.is_access_token_valid(each)] == access
    assert reason(refresh(server, first.access_token)) == "invalid_grant"


def test_refresh_token_is_valid_for_exactly_ninety_days() -> None:
    server = rules(clock := Clock())
    first = given(exchange(server, code_from(server)))
    clock.seconds = NINETY_DAYS - A_MOMENT
    second = given(refresh(server, first.refresh_token))
    clock.seconds += NINETY_DAYS
    assert reason(refresh(server, second.refresh_token)) == "invalid_grant"


@pytest.mark.parametrize("age", [1, 2], ids=["the-last-one", "an-older-one"])
def test_replaced_refresh_token_revokes_its_whole_grant_and_no_other(age: int) -> None:
    server = rules(Clock())
    grant = [given(exchange(server, code_from(server)))]
    other = given(exchange(server, code_from(server)))
    for _ in range(2):
        grant.append(given(refresh(server, grant[-1].refresh_token)))
    # In the same instant: there is no grace.
    assert reason(refresh(server, grant[-1 - age].refresh_token)) == "invalid_grant"
    for tokens in grant:
        assert not server.is_access_token_valid(tokens.access_token)
        assert reason(refresh(server, tokens.refresh_token)) == "invalid_grant"
    assert len(server.state.revoked) == 1
    assert server.is_access_token_valid(other.access_token)
    given(refresh(server, other.refresh_token))


@pytest.mark.parametrize(
    "change", [{"client_id": "another"}, {"client_secret": "wrong"}, {"client_secret": "é"}]
)
def test_wrong_client_is_refused_and_nothing_is_used_up(change: dict[str, str]) -> None:
    server = rules(Clock())
    code = code_from(server)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    assert reason(server.answer_token_request({**CLIENT, **form, **change})) == "invalid_client"
    assert reason(server.answer_token_request(form)) == "invalid_client"
    given(exchange(server, code))


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "c"}, "invalid_request"),
        ({"grant_type": "authorization_code", "redirect_uri": CALLBACK}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        (
            {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": CALLBACK},
            "invalid_grant",
        ),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_incomplete_or_unknown_token_request_is_refused(form: dict[str, str], why: str) -> None:
    assert reason(rules(Clock()).answer_token_request({**CLIENT, **form})) == why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"client_id": "another"}, "invalid_client"),
        ({"redirect_uri": f"{CALLBACK}/"}, "invalid_redirect_uri"),
        ({"redirect_uri": ""}, "invalid_redirect_uri"),
        ({"response_type": "token"}, "invalid_request"),
    ],
)
def test_wrong_authorization_request_is_refused(change: dict[str, str], why: str) -> None:
    assert reason(rules(Clock()).read_authorization_request({**ASKED, **change})) == why


def test_empty_state_is_as_if_omitted() -> None:
    asked = rules(Clock()).read_authorization_request({**ASKED, "state": ""})
    assert asked == AuthorizationRequest(redirect_uri=CALLBACK, state=None)


def test_shifted_clock_ages_what_was_given() -> None:
    server = rules(Clock())
    tokens = given(exchange(server, code_from(server)))
    server.shift_clock(HALF_AN_HOUR - A_MOMENT)
    assert server.is_access_token_valid(tokens.access_token)
    server.shift_clock(A_MOMENT * 2)
    assert not server.is_access_token_valid(tokens.access_token)
    server.shift_clock(-1.0)
    assert server.is_access_token_valid(tokens.access_token)


def test_state_keeps_no_secret() -> None:
    server = rules(Clock())
    tokens = given(exchange(server, used := code_from(server)))
    unused = code_from(server)
    for secret in (used, unused, tokens.access_token, tokens.refresh_token):
        assert secret not in repr(server.state)
    assert "a-secret" not in repr(server.client)
    assert tokens.access_token not in repr(tokens.answer)
    assert tokens.refresh_token not in repr(tokens.answer)


def test_state_forgets_expired_codes_tokens_and_grants() -> None:
    server = rules(clock := Clock())
    code_from(server)
    tokens = given(exchange(server, code_from(server)))
    for _ in range(3):
        clock.seconds += NINETY_DAYS - A_MOMENT
        tokens = given(refresh(server, tokens.refresh_token))
    (grant,) = server.state.grants.values()
    assert (len(grant.access_tokens), len(grant.replaced_refresh_tokens)) == (1, 1)
    assert not server.state.codes
    clock.seconds += NINETY_DAYS
    code_from(server)
    assert not server.state.grants


def test_grant_whose_refresh_token_expired_first_keeps_its_access_token() -> None:
    server = rules(clock := Clock())
    server.lifetimes = replace(Lifetimes.of(PROVIDER), refresh_token=1.0)
    tokens = given(exchange(server, code_from(server)))
    clock.seconds = 1.0
    code_from(server)
    assert server.is_access_token_valid(tokens.access_token)
    assert reason(refresh(server, tokens.refresh_token)) == "invalid_grant"


def test_revoked_grants_are_remembered_up_to_a_bound() -> None:
    server = rules(Clock())
    for _ in range(MAX_REVOKED_GRANTS + 1):
        code = code_from(server)
        given(exchange(server, code))
        exchange(server, code)
    assert len(server.state.revoked) == MAX_REVOKED_GRANTS
    assert not server.state.grants


# --- the state file


def test_state_survives_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    server = rules(Clock(1_700_000_000.123456))
    tokens = given(exchange(server, code_from(server)))
    given(refresh(server, tokens.refresh_token))
    exchange(server, "x")
    code_from(server)
    server.shift_clock(1.5)
    path = tmp_path / "new folder" / "state.json"
    save_state(path, server.state)
    assert load_state(path) == server.state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    save_state(path, State(clock_shift=1.0))

    def full(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save_state(path, State(clock_shift=2.0))
    assert load_state(path) == State(clock_shift=1.0)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "[]", '{"grants": {"x": {}}}'])
def test_other_file_is_not_taken_for_a_state(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(StateFileError, match="delete it"):
        load_state(path)
    assert path.read_text() == content


# --- HTTP


def application(
    clock: Clock | None = None,
    *,
    prefix: str = "/simulated-digikey",
    state_path: Path | None = None,
) -> SimulatedProvider:
    return SimulatedProvider(
        provider=PROVIDER,
        client=Client(
            client_id="a-client",
            client_secret="a-secret",
            redirect_uris=(CALLBACK, "https://localhost/?from=digikey"),
        ),
        state_path=state_path,
        prefix=prefix,
        now=clock or Clock(),
    )


def ask(
    app: SimulatedProvider,
    method: str,
    path: str,
    *,
    prefix: str = "/simulated-digikey",
    **more: Any,
) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, prefix + path, **more)

    return asyncio.run(send())


def sent_for(
    app: SimulatedProvider, method: str, path: str, form: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the messages of the application: httpx refuses incomplete responses."""
    sent: list[dict[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": urlencode(form).encode()}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": method,
        "path": f"/simulated-digikey{path}",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }
    asyncio.run(app(scope, receive, send))
    return sent


def authorize(app: SimulatedProvider, decision: str, **change: str) -> httpx.Response:
    page = ask(app, "GET", "/v1/oauth2/authorize", params={**ASKED, **change})
    assert page.status_code == 200, page.text
    form = Form.read(page.text)
    return ask(app, "POST", form.action, prefix="", data={**form.fields, "decision": decision})


def callback(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 302, answer.text
    return parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True)


def token_form(app: SimulatedProvider) -> dict[str, str]:
    code = dict(callback(authorize(app, "allow")))["code"]
    return {
        **CLIENT,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
    }


def token(app: SimulatedProvider, **form: str) -> httpx.Response:
    return ask(app, "POST", "/v1/oauth2/token", data={**CLIENT, **form})


def log_in(app: SimulatedProvider) -> dict[str, Any]:
    answer = token(app, **token_form(app))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def opened(app: SimulatedProvider, access_token: str, **headers: str) -> httpx.Response:
    given_headers = {
        "authorization": f"Bearer {access_token}",
        "x-digikey-client-id": "a-client",
        **headers,
    }
    return ask(app, "GET", "/products/v4/search/example", headers=given_headers)


def control(app: SimulatedProvider, **change: object) -> httpx.Response:
    return ask(app, "POST", "/_control", json=change)


def settings(app: SimulatedProvider) -> dict[str, Any]:
    return dict(ask(app, "GET", "/_control").json())


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "127.0.0.1.evil.test:8000"},
        {"host": "localhost.evil.test"},
        {"host": "192.0.2.1"},
        {"host": "[::1"},
        {"host": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_strangers_pages_and_names_change_nothing(headers: dict[str, str]) -> None:
    app = application()
    before = settings(app)
    for path, more in (
        ("/_control", {"content": b'{"faults": ["html"]}'}),
        ("/settings", {"data": {"fault": "html"}}),
        ("/v1/oauth2/authorize", {"data": {**ASKED, "decision": "allow"}}),
    ):
        assert ask(app, "POST", path, headers=headers, **more).status_code in {403, 421}
    if "host" in headers:
        assert ask(app, "GET", "/", headers=headers).status_code == 421
    assert settings(app) == before


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "a.localhost"])
def test_own_forms_are_obeyed(host: str) -> None:
    app = application()
    headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert ask(app, "POST", "/settings", headers=headers, data={"fault": "html"}).status_code == 303
    assert settings(app)["faults"] == ["html"]


def test_page_states_that_it_is_a_simulation_and_loads_nothing() -> None:
    app = application()
    for page in (
        ask(app, "GET", "/v1/oauth2/authorize", params=ASKED),
        ask(app, "GET", "/"),
        ask(app, "GET", ""),
    ):
        assert page.status_code == 200
        assert "simulation, for development only" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for loading in ("<script", "http:", "src=", "<link", "@import", "url("):
            assert loading not in page.text


def test_state_is_escaped_in_the_page_and_comes_back_as_it_was() -> None:
    state = """'"><script>alert(1)</script>&amp;é\r\nx: y"""
    page = ask(application(), "GET", "/v1/oauth2/authorize", params={**ASKED, "state": state})
    assert "<script" not in page.text
    answer = authorize(application(), "allow", state=state)
    assert dict(callback(answer))["state"] == state
    assert "\n" not in answer.headers["location"]


def test_allow_redirects_with_a_code_the_state_and_an_empty_scope() -> None:
    answer = authorize(application(), "allow")
    (code, value), *others = callback(answer)
    assert code == "code"
    assert len(value) >= 32
    assert others == [("state", "a state & <b>"), ("scope", "")]
    assert answer.headers["location"].startswith(f"{CALLBACK}?")


def test_redirect_keeps_the_query_of_its_uri_and_has_no_state_without_one() -> None:
    answer = authorize(
        application(), "deny", redirect_uri="https://localhost/?from=digikey", state=""
    )
    assert callback(answer) == [("from", "digikey"), ("error", "access_denied")]
    assert answer.headers["location"].count("?") == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_wrong_client_or_redirect_uri_is_answered_in_the_browser(method: str) -> None:
    def asked(**change: str) -> httpx.Response:
        request = {**ASKED, "decision": "allow", **change}
        sent: dict[str, Any] = {"params" if method == "GET" else "data": request}
        return ask(application(), method, "/v1/oauth2/authorize", **sent)

    answer = asked(client_id="another")
    assert answer.status_code == 401
    error = answer.json()
    assert error.pop("RequestId")
    assert error == {
        "ErrorResponseVersion": "3.0.0.0",
        "StatusCode": 401,
        "ErrorMessage": "Invalid clientId",
        "ErrorDetails": "client_id query parameter has incorrect value. Send valid client_id",
        "ValidationErrors": [],
    }
    answer = asked(redirect_uri="https://evil.example/")
    assert answer.status_code == 400
    assert answer.json() == {
        "ErrorCode": "invalid_request",
        "Error": "Invalid redirection uri https://evil.example/",
    }
    for answer in (asked(client_id="another"), asked(redirect_uri="https://evil.example/")):
        assert "location" not in answer.headers
        assert answer.headers["content-type"] == "application/json"


def test_decision_that_is_neither_is_refused() -> None:
    answer = ask(application(), "POST", "/v1/oauth2/authorize", data=ASKED)
    assert answer.status_code == 400
    assert answer.json()["ErrorCode"] == "invalid_request"


def test_code_and_refresh_token_give_tokens_in_the_shape_of_digikey() -> None:
    app = application()
    first = log_in(app)
    second = token(app, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second.headers["cache-control"] == "no-store"
    for tokens in (first, second.json()):
        assert tokens.pop("access_token") != tokens.pop("refresh_token")
        assert tokens == {
            "expires_in": 1799,
            "refresh_token_expires_in": 7_775_999,
            "token_type": "Bearer",
        }
    assert settings(app)["statistics"] == {
        "authorization_code": 1,
        "refresh_token": 1,
        "client_credentials": 0,
        "refused": 0,
    }


def test_refused_token_requests_are_answered_in_the_shapes_of_digikey() -> None:
    app = application()
    dead = token(app, grant_type="refresh_token", refresh_token="dead")
    assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")
    assert set(dead.json()) == {"error", "error_description"}
    other = token(app, grant_type="password")
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
    moved = token(app, **{**token_form(app), "redirect_uri": "https://localhost/"})
    assert moved.status_code == 400
    assert moved.json()["Error"] == "Invalid redirection uri https://localhost/"
    stranger = token(app, client_secret="wrong", grant_type="refresh_token", refresh_token="dead")
    assert (stranger.status_code, stranger.json()["ErrorMessage"]) == (401, "Invalid clientId")
    bare = token(app)
    assert bare.json() == {
        "ErrorCode": "invalid_request",
        "Error": "Required param : grant_type",
    }
    valueless = token(app, grant_type="refresh_token", refresh_token="")
    assert valueless.json()["Error"] == "Required param : refresh_token"
    assert settings(app)["statistics"]["refused"] == 6


def test_client_credentials_count_only_in_the_form() -> None:
    app = application()
    form = {"grant_type": "refresh_token", "refresh_token": log_in(app)["refresh_token"]}
    assert ask(app, "POST", "/v1/oauth2/token", data=form, params=CLIENT).status_code == 401
    basic = ask(app, "POST", "/v1/oauth2/token", data=form, auth=("a-client", "a-secret"))
    assert basic.status_code == 401


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"grant_type=refresh_token", "text/plain"),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
    ],
)
def test_body_other_than_a_form_is_refused(body: bytes, content_type: str) -> None:
    headers = {"content-type": content_type}
    answer = ask(application(), "POST", "/v1/oauth2/token", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["ErrorCode"] == "invalid_request"


def test_form_may_be_64_kib_and_no_larger() -> None:
    app = application()
    fields = {**CLIENT, "grant_type": "refresh_token", "refresh_token": ""}
    room = 64 * 1024 - len(urlencode(fields))
    assert token(app, **{**fields, "refresh_token": "x" * room}).json()["error"] == "invalid_grant"
    assert token(app, **{**fields, "refresh_token": "x" * (room + 1)}).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/oauth2/token", "POST"),
        ("HEAD", "/v1/oauth2/token", "POST"),
        ("PUT", "/v1/oauth2/authorize", "GET, HEAD, POST"),
        ("POST", "/products/v4/search/example", "GET, HEAD"),
        ("DELETE", "/_control", "GET, HEAD, POST"),
        ("GET", "/settings", "POST"),
        ("POST", "/", "GET, HEAD"),
    ],
)
def test_other_methods_get_the_allowed_ones(method: str, path: str, allow: str) -> None:
    answer = ask(application(), method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "path",
    [
        *(f"/simulated-digikey{path}" for path in ("/v1/oauth2", "/v1/oauth2/token/", "//", "x")),
        "/simulated-digikey/_controls",
        *(f"{prefix}/_control" for prefix in ("", "/simulated-digikez", "/simulated-digike")),
    ],
)
def test_unknown_path_is_not_found(path: str) -> None:
    assert ask(application(), "GET", path, prefix="").status_code == 404


def test_prefix_can_be_empty() -> None:
    assert ask(application(prefix=""), "GET", "/", prefix="").status_code == 200


def test_head_is_answered_without_a_body() -> None:
    start, body = sent_for(application(), "HEAD", "/_control", {})
    assert start["status"] == 200
    assert body["body"] == b""


def test_protected_resource_opens_to_a_valid_access_token() -> None:
    app = application(clock := Clock())
    access_token = log_in(app)["access_token"]
    clock.seconds = HALF_AN_HOUR - A_MOMENT
    assert opened(app, access_token).status_code == 200
    assert opened(app, "", authorization=f"bearer {access_token}").status_code == 200
    clock.seconds = HALF_AN_HOUR
    answer = opened(app, access_token)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "correlationId"}
    assert problem["detail"].startswith("Bearer token is expired")


@pytest.mark.parametrize(
    "change",
    [
        *({"authorization": scheme} for scheme in ("{}", "Basic {}", "Bearer{}")),
        {"x-digikey-client-id": ""},
        {"x-digikey-client-id": "another"},
    ],
)
def test_protected_resource_requires_a_bearer_token_and_the_client_id(
    change: dict[str, str],
) -> None:
    app = application()
    access_token = log_in(app)["access_token"]
    headers = {name: value.format(access_token) for name, value in change.items()}
    answer = opened(app, access_token, **headers)
    assert answer.status_code == 401
    if "authorization" not in change:
        detail = "X-DIGIKEY-Client-Id invalid for requested resource"
        assert answer.json()["ErrorDetails"] == detail


def test_lifetimes_are_set_for_what_is_given_from_then_on() -> None:
    app = application(clock := Clock())
    old = log_in(app)
    assert control(app, lifetimes={"access_token": 10, "refresh_token": 0.5}).status_code == 200
    new = log_in(app)
    assert (new["expires_in"], new["refresh_token_expires_in"]) == (9, 0)
    assert settings(app)["lifetimes"] == {
        "code": 60,
        "access_token": 10,
        "refresh_token": 0.5,
        "client_credentials": 600,
    }
    clock.seconds = 0.5
    dead = token(app, grant_type="refresh_token", refresh_token=new["refresh_token"])
    assert dead.json()["error"] == "invalid_grant"
    clock.seconds = 10.0
    assert opened(app, new["access_token"]).status_code == 401
    assert opened(app, old["access_token"]).status_code == 200


def test_lifetime_of_codes_is_set() -> None:
    app = application(clock := Clock())
    control(app, lifetimes={"code": 2.5})
    early, late = token_form(app), token_form(app)
    clock.seconds = 2.5 - A_MOMENT
    assert token(app, **early).status_code == 200
    clock.seconds = 2.5
    assert token(app, **late).json()["error"] == "invalid_grant"


def test_clock_is_shifted_by_control() -> None:
    app = application()
    access_token = log_in(app)["access_token"]
    control(app, shift_clock=1000)
    control(app, shift_clock=800.5)
    assert settings(app)["clock_shift"] == 1800.5
    assert opened(app, access_token).status_code == 401


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"lifetime": {}}', "lifetime"),
        ('{"lifetimes": {"token": 1}}', "lifetimes.token"),
        ('{"lifetimes": {"code": 0}}', "lifetimes.code"),
        ('{"lifetimes": {"code": -1}}', "lifetimes.code"),
        ('{"lifetimes": {"code": NaN}}', "lifetimes.code"),
        ('{"lifetimes": {"code": 1e300}}', "lifetimes.code"),
        ('{"lifetimes": {"code": "10"}}', "lifetimes.code"),
        ('{"lifetimes": {"code": true}}', "lifetimes.code"),
        ('{"faults": ["explode"]}', "faults.0: Value error, not one of unavailable"),
        ('{"faults": "html"}', "faults"),
        ('{"faults": [7]}', "faults.0"),
        ('{"faults": ["delay"]}', "needs a number"),
        ('{"faults": ["delay:nan"]}', "between 0 and 600"),
        ('{"faults": ["delay:-1"]}', "between 0 and 600"),
        ('{"faults": ["html", "delay:601"]}', "faults.1"),
        ('{"shift_clock": Infinity}', "shift_clock"),
        ('{"reset_statistics": 1}', "reset_statistics"),
        ('{"shift_clock": 5, "faults": ["html"], "lifetimes": {"code": 0}}', "lifetimes.code"),
    ],
)
def test_bad_change_is_refused_with_its_place_and_changes_nothing(body: str, named: str) -> None:
    app = application()
    before = settings(app)
    answer = ask(app, "POST", "/_control", content=body)
    assert answer.status_code == 400
    assert named in answer.json()["detail"]
    assert settings(app) == before


def test_front_page_sets_lifetimes_and_plans_a_fault() -> None:
    app = application()
    form = {"code": "5", "access_token": "10", "refresh_token": "3600.5"}
    form |= {"client_credentials": "never"}
    answer = ask(app, "POST", "/settings", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/simulated-digikey/")
    for fault in ("html", "delay:2"):
        assert ask(app, "POST", "/settings", data={"fault": fault}).status_code == 303
    assert settings(app)["lifetimes"] == {
        "code": 5,
        "access_token": 10,
        "refresh_token": 3600.5,
        "client_credentials": None,
    }
    assert settings(app)["faults"] == ["html", "delay:2"]
    page = ask(app, "GET", "/").text
    assert 'value="3600.5"' in page
    assert "html, delay:2" in page


def test_front_page_offers_only_faults_that_can_be_planned() -> None:
    app = application()
    offered = ask(app, "GET", "/").text.split('<select name="fault">')[1].split("</select>")[0]
    names = offered.split("<option>")[1:]
    assert len(names) == 8
    assert control(app, faults=names).status_code == 200


@pytest.mark.parametrize("form", [{"code": "soon"}, {"code": "-1"}, {"fault": "x"}, {"x": "<b>"}])
def test_bad_form_is_refused_on_a_page(form: dict[str, str]) -> None:
    app = application()
    answer = ask(app, "POST", "/settings", data=form)
    assert answer.status_code == 400
    assert "<b>" not in answer.text
    assert settings(app)["faults"] == []


def test_front_page_lists_grants_with_the_time_left_and_no_token() -> None:
    app = application(clock := Clock())
    assert "nobody has logged in yet" in ask(app, "GET", "/").text
    form = token_form(app)
    tokens = token(app, **form).json()
    clock.seconds = 2.0
    page = ask(app, "GET", "/").text
    assert "29 min 58 s left" in page
    assert "89 d 23 h left" in page
    clock.seconds = HALF_AN_HOUR
    page += ask(app, "GET", "/").text
    assert "<td>expired<td>89 d 23 h left" in page
    token(app, **form)
    page += ask(app, "GET", "/").text
    assert "as its authorization code was used twice" in page
    for secret in (tokens["access_token"], tokens["refresh_token"], form["code"], "a-secret"):
        assert secret not in page


# --- faults


def test_faults_are_met_in_order_by_one_token_request_each() -> None:
    app = application()
    control(app, faults=["unavailable", "empty-400"])
    control(app, faults=["rate-limited"])
    answers = [token(app, grant_type="password") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 400, 429, 400]
    assert settings(app)["faults"] == []
    control(app, faults=["unavailable"])
    assert control(app, clear_faults=True, faults=["html"]).json()["faults"] == ["html"]


@pytest.mark.parametrize(
    ("fault", "status"), [("unavailable", 503), ("rate-limited", 429), ("empty-400", 400)]
)
def test_request_refused_by_a_fault_changes_nothing(fault: str, status: int) -> None:
    app = application()
    form = token_form(app)
    control(app, faults=[fault])
    answer = token(app, **form)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status != 400)
    assert (answer.content == b"") == (status == 400)
    assert settings(app)["statistics"]["authorization_code"] == 0
    assert token(app, **form).status_code == 200


def test_html_fault_commits_and_answers_a_page() -> None:
    app = application()
    form = token_form(app)
    control(app, faults=["html"])
    answer = token(app, **form)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert settings(app)["statistics"]["authorization_code"] == 1
    assert token(app, **form).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("fault", "done"), [("lose-request", 0), ("lose-answer", 1)])
def test_lost_request_and_lost_answer_look_alike(fault: str, done: int) -> None:
    app = application()
    form = token_form(app)
    control(app, faults=[fault])
    (start,) = sent_for(app, "POST", "/v1/oauth2/token", form)
    assert start == {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"1")],
    }
    assert settings(app)["statistics"]["authorization_code"] == done
    assert token(app, **form).status_code == (400 if done else 200)


def test_delayed_answer_comes_late_and_is_committed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = application()
    form = token_form(app)
    control(app, faults=["delay:2.5"])
    slept: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        slept.append((seconds, len(app._rules.state.grants)))

    monkeypatch.setattr("infra.local.simulated.application.asyncio.sleep", sleep)
    assert token(app, **form).status_code == 200
    assert slept == [(2.5, 1)]


# --- life


def test_a_new_process_keeps_grants_and_resets_settings(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    before = application(state_path=path)
    tokens = log_in(before)
    unused = token_form(before)
    control(before, shift_clock=5, faults=["html"], lifetimes={"code": 7})
    for secret in (tokens["access_token"], tokens["refresh_token"], unused["code"]):
        assert secret not in path.read_text()
    after = application(state_path=path)
    assert settings(after)["faults"] == []
    assert settings(after)["lifetimes"]["code"] == 60
    assert settings(after)["clock_shift"] == 5
    assert opened(after, tokens["access_token"]).status_code == 200
    assert token(after, **unused).status_code == 200
    refreshed = token(after, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed.status_code == 200
    again = application(state_path=path)
    reused = token(again, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert reused.json()["error"] == "invalid_grant"
    assert opened(application(state_path=path), tokens["access_token"]).status_code == 401


def test_request_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    app = application(state_path=(path := tmp_path / "state.json"))

    def change_nothing() -> None:
        ask(app, "GET", "/")
        token(app, grant_type="refresh_token", refresh_token="dead")

    change_nothing()
    assert list(tmp_path.iterdir()) == []
    log_in(app)
    path.unlink()
    change_nothing()
    assert list(tmp_path.iterdir()) == []


def test_lifespan_is_answered() -> None:
    received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(received)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    asyncio.run(application()({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_process_serves_a_whole_life_on_loopback(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with simulated_digikey(redirect_uri=CALLBACK, state_path=path, access_token=600) as peer:
        assert peer.address.startswith("http://127.0.0.1:")
        assert "simulated-secret" not in repr(peer)
        url = peer.authorization_url(state="x y")
        assert peer.deny(url) == f"{CALLBACK}?error=access_denied&state=x+y"
        answer = dict(parse_qsl(urlsplit(peer.allow(url)).query, keep_blank_values=True))
        client = {"client_id": peer.client_id, "client_secret": peer.client_secret}
        exchanged = httpx.post(
            peer.token_endpoint,
            data={
                **client,
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": CALLBACK,
            },
        )
        tokens = exchanged.json()
        assert tokens["expires_in"] == 599
        assert peer.accepts(tokens["access_token"])
        form = {**client, "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        peer.plan_faults("lose-request", "lose-answer", "html")
        for done in (0, 1):
            with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
                httpx.post(peer.token_endpoint, data=form)
            assert peer.stats() == {
                "authorization_code": 1,
                "refresh_token": done,
                "client_credentials": 0,
                "refused": 0,
            }
        peer.clear_faults()
        assert httpx.post(peer.token_endpoint, data=form).json()["error"] == "invalid_grant"
        assert not peer.accepts(tokens["access_token"])
        peer.reset_stats()
        assert sum(peer.stats().values()) == 0
        peer.shift_clock(1)
    assert json.loads(path.read_text())["clock_shift"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(peer.address)


def test_process_refuses_a_broken_state_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("{")
    started = simulated_digikey(redirect_uri=CALLBACK, state_path=path)
    with pytest.raises(AssertionError, match="did not start"), started:
        pass
