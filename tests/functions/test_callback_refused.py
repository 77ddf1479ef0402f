"""Callbacks that bring no tokens: what is answered, and that nothing that was there is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape, unescape
from urllib.parse import urlencode

import httpx
import pytest

from domain.grant import Unauthorized
from domain.token_endpoint import Delivery, NoAnswer
from functions.http.parameters import parse_authorization_response
from functions.login.words import exchange_failed
from tests.functions.conftest import Deploy
from tests.functions.deployment import (
    HTML,
    JSON,
    STATIC_STATE,
    Call,
    Deployment,
    Header,
    at,
    query_of,
)
from tests.functions.expect import (
    expect_json,
    expect_page,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import fresh
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.waiting import wait_until

MARKUP = """<script>alert("x")</script> & 'quotes' <img src=x onerror=y>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A login that is about to come back to a deployment, for a connection that has a grant."""

    deployment: Deployment
    connection: str
    state: str
    code: str
    asked: Callable[[], int]
    """How often the provider's token endpoint was asked."""

    def come_back(self, *headers: Header, state: str | None = None) -> httpx.Response:
        """Bring the code, as the provider's redirect does."""
        return self.deployment.callback(*headers, code=self.code, state=state or self.state)

    @contextmanager
    def nothing_changes(self, *, asks: int = 0) -> Iterator[None]:
        """Expect the grant to stay what it is, and the token endpoint to be asked that often."""
        token = expect_token(self.deployment.token(self.connection))
        grant, asked = self.deployment.grant(self.connection), self.asked()
        yield
        assert self.deployment.grant(self.connection) == grant
        assert expect_token(self.deployment.token(self.connection)) == token
        assert self.asked() == asked + asks


@pytest.fixture
def begun(scripted: Deployment, endpoint: TokenEndpoint, connection: str) -> Begun:
    """A login at a provider that would give tokens for any code."""
    scripted.put(connection, fresh())
    return Begun(
        deployment=scripted,
        connection=connection,
        state=query_of(scripted.begin_login(connection))["state"],
        code="a-code",
        asked=lambda: len(endpoint.seen),
    )


@pytest.fixture
def begun_at_digikey(deployment: Deployment, connection: str) -> Begun:
    """A login at the simulated Digi-Key, which knows what it gave."""
    deployment.put(connection, fresh())
    query = query_of(deployment.provider.allow(deployment.begin_login(connection)))
    return Begun(
        deployment=deployment,
        connection=connection,
        state=query["state"],
        code=query["code"],
        asked=lambda: sum(deployment.provider.stats().values()),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"code": "a-code"},
        {"code": "a-code", "state": ""},
        {"code": "a-code", "state": "never-given-out"},
        {"code": "a-code", "state": "x" * 4000},
        {"code": "a-code", "state": "нет\x00\x1b[31m<b>"},
        {"error": "access_denied"},
        {"error": "access_denied", "state": "never-given-out"},
        {},
    ],
    ids=str,
)
def test_checklist_2_wrong_or_missing_state_is_refused(
    begun: Begun, parameters: dict[str, str]
) -> None:
    with begun.nothing_changes():
        answer = begun.deployment.callback(JSON, **parameters)
        assert "never-given-out" not in str(expect_problem(answer, 400, "invalid-state"))
        expect_page(begun.deployment.callback(HTML, **parameters), 400)
    # The login that has begun is not used up by it.
    expect_page(begun.come_back())


def test_part_of_a_state_is_not_it(begun: Begun) -> None:
    state = begun.state
    with begun.nothing_changes():
        for other in (state[:-1], state + "x", state.swapcase(), state + "\0", f" {state}"):
            expect_problem(begun.come_back(JSON, state=other), 400, "invalid-state")
    expect_page(begun.come_back())


def test_checklist_3_state_serves_once(begun_at_digikey: Begun) -> None:
    begun, deployment = begun_at_digikey, begun_at_digikey.deployment
    expect_page(begun.come_back())
    with begun.nothing_changes():
        for code in ("another", f"{begun.code} ", begun.code[:-1]):
            other = replace(begun, code=code)
            expect_problem(other.come_back(JSON), 400, "invalid-state")
            expect_page(other.come_back(), 400)
    assert deployment.provider.accepts(expect_token(deployment.token(begun.connection)))


def test_checklist_2_state_replayed_at_the_same_time_serves_once(begun_at_digikey: Begun) -> None:
    begun, deployment = begun_at_digikey, begun_at_digikey.deployment
    before = deployment.provider.stats()
    target = at("/api/callback", code=begun.code, state=begun.state)
    answers = deployment.together([Call(method="GET", target=target, headers=(JSON,))] * 10)
    # As after a double click: the code is sent once, and all are told what came of it.
    assert all(expect_json(answer)["connection"] == begun.connection for answer in answers)
    after = deployment.provider.stats()
    assert after["authorization_code"] == before["authorization_code"] + 1
    assert after["refused"] == before["refused"]
    assert deployment.provider.accepts(expect_token(deployment.token(begun.connection)))


def test_checklist_11_redirect_that_is_delivered_again_is_told_the_same(
    begun_at_digikey: Begun,
) -> None:
    begun = begun_at_digikey
    first = expect_json(begun.come_back(JSON))
    assert first["status"] == "authorized"
    with begun.nothing_changes():
        # What a browser's reload does.
        assert expect_json(begun.come_back(JSON)) == first
        assert begun.connection in expect_page(begun.come_back())


def test_checklist_11_redirect_is_delivered_again_to_another_instance(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    one, other = deploy(**endpoint.environ), deploy(**endpoint.environ)
    state = query_of(one.begin_login("default"))["state"]
    with ThreadPoolExecutor() as pool:
        with endpoint.held():
            first = pool.submit(one.callback, JSON, code="a-code", state=state)
            wait_until(lambda: bool(endpoint.seen))
            second = pool.submit(other.callback, JSON, code="a-code", state=state)
            # Another code is not told to wait.
            wrong = other.callback(JSON, code="another", state=state)
            expect_problem(wrong, 400, "invalid-state")
        assert expect_json(second.result()) == expect_json(first.result())
    assert len(endpoint.seen) == 1
    assert expect_json(other.callback(JSON, code="a-code", state=state)) == first.result().json()


def test_redirect_whose_code_was_refused_is_not_sent_again(
    begun: Begun, endpoint: TokenEndpoint
) -> None:
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    with begun.nothing_changes(asks=1):
        expect_problem(begun.come_back(JSON), 502, "code-refused")
        expect_problem(begun.come_back(JSON), 400, "invalid-state")


def test_redirect_with_the_static_state_that_is_delivered_again_is_sent_once(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, OAUTH_STATE=STATIC_STATE)
    answers = [
        deployment.callback(JSON, code="a-code", state=STATIC_STATE).json() for _ in range(3)
    ]
    assert answers == answers[:1] * 3
    assert len(endpoint.seen) == 1


def test_redirect_with_the_static_state_is_sent_once_more_where_it_failed(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, OAUTH_STATE=STATIC_STATE)
    endpoint.plan(Answer(status=503))
    first, *others = (
        deployment.callback(JSON, code="a-code", state=STATIC_STATE) for _ in range(4)
    )
    expect_problem(first, 503, "provider-unavailable")
    answers = [expect_json(answer) for answer in others]
    assert answers == answers[:1] * 3
    assert len(endpoint.seen) == 2


@pytest.mark.parametrize(
    "header",
    [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
    ],
    ids=str,
)
def test_checklist_11_prefetch_uses_up_nothing(begun: Begun, header: Header) -> None:
    rows = begun.deployment.rows()
    with begun.nothing_changes():
        answer = begun.come_back(JSON, header)
        expect_problem(answer, 503, "prefetch-refused")
        expect_page(begun.come_back(HTML, header), 503)
    assert begun.deployment.rows() == rows
    expect_page(begun.come_back(HTML, ("sec-purpose", "navigate")))


def test_checklist_3_state_of_a_refused_login_is_used_up(begun: Begun) -> None:
    with begun.nothing_changes():
        denied = begun.deployment.callback(JSON, error="access_denied", state=begun.state)
        expect_problem(denied, 400, "authorization-refused")
        expect_problem(begun.come_back(JSON), 400, "invalid-state")


def test_code_replayed_with_another_state_is_refused_by_the_provider(
    begun_at_digikey: Begun,
) -> None:
    begun = begun_at_digikey
    expect_page(begun.come_back())
    state = query_of(begun.deployment.begin_login(begun.connection))["state"]
    with begun.nothing_changes(asks=1):
        expect_problem(begun.come_back(JSON, state=state), 502, "code-refused")


def test_code_that_the_provider_never_gave_is_refused(begun_at_digikey: Begun) -> None:
    begun = begun_at_digikey
    with begun.nothing_changes(asks=1):
        answer = begun.deployment.callback(JSON, code="never-given", state=begun.state)
        assert "never-given" not in str(expect_problem(answer, 502, "code-refused"))


def test_checklist_9_person_who_denies_leaves_everything_as_it_was(begun_at_digikey: Begun) -> None:
    begun, deployment = begun_at_digikey, begun_at_digikey.deployment
    with begun.nothing_changes():
        callback_url = deployment.provider.deny(deployment.begin_login(begun.connection))
        assert "access_denied" in expect_page(deployment.follow(callback_url), 400)
        expect_problem(deployment.follow(callback_url, JSON), 400, "invalid-state")


def test_person_who_denies_at_first_has_not_logged_in(
    deployment: Deployment, connection: str
) -> None:
    callback_url = deployment.provider.deny(deployment.begin_login(connection))
    expect_problem(deployment.follow(callback_url, JSON), 400, "authorization-refused")
    assert isinstance(deployment.grant(connection), Unauthorized)
    expect_problem(deployment.token(connection), 401, "authorization-required")


@pytest.mark.parametrize("name", ["error", "error_description"])
def test_checklist_9_markup_in_an_error_is_escaped_in_the_page(begun: Begun, name: str) -> None:
    parameters = {"error": "access_denied", name: MARKUP, "state": begun.state}
    with begun.nothing_changes():
        page = expect_page(begun.deployment.callback(HTML, **parameters), 400)
    assert MARKUP not in page
    assert "<img" not in page
    assert MARKUP in unescape(page)


@pytest.mark.parametrize("name", ["error", "error_description"])
def test_checklist_44_markup_in_an_error_is_intact_json_in_a_problem(
    begun: Begun, name: str
) -> None:
    text = MARKUP + ' \\ \n \x00 \x7f “ü” \U0001f600 \u2028 "}'
    parameters = {"error": "access_denied", name: text, "state": begun.state}
    answer = begun.deployment.callback(JSON, **parameters)
    assert text in expect_problem(answer, 400, "authorization-refused")["detail"]


def test_error_of_any_length_is_quoted_in_part_only(begun: Begun) -> None:
    answer = begun.deployment.callback(JSON, error="e" * 5000, state=begun.state)
    members = expect_problem(answer, 400, "authorization-refused")
    assert len(members["detail"]) < 1000


@pytest.mark.parametrize(
    "query",
    [
        "code=a&error=access_denied",
        "",
        "code=",
        "error=",
        "code=&error=",
        "code=a&code=a",
        "code=a&code=b",
        "error=a&error=a",
        "code=a&c%6fde=b",
        "code=a&state=another",
        "code=a&iss=x&iss=x",
        "code=%ff",
        "error=%ff",
    ],
)
def test_checklist_10_contradictory_or_repeated_parameters_are_refused_and_use_up_nothing(
    begun: Begun, query: str
) -> None:
    rows = begun.deployment.rows()
    target = f"/api/callback?{query}&state={begun.state}"
    with begun.nothing_changes():
        expect_problem(begun.deployment.call("GET", target, JSON), 400, "invalid-request")
        expect_page(begun.deployment.call("GET", target, HTML), 400)
    assert begun.deployment.rows() == rows
    expect_page(begun.come_back())


@pytest.mark.parametrize(
    "others",
    [
        "connection=x&connection=y",
        "x=%ed%a0%80",
        "name=Jos%e9",
        "n%e9m=x&scope=%zz&&=",
        "error_description=&error_description=",
        "error=&hd=a&hd=b",
        "session_state=a=b==;c",
    ],
)
def test_checklist_63_parameters_that_nobody_reads_are_ignored_however_they_are_written(
    begun: Begun, others: str
) -> None:
    target = f"/api/callback?{others}&code={begun.code}&state={begun.state}"
    expect_page(begun.deployment.call("GET", target, HTML))
    assert begun.asked() == 1


def test_raw_bytes_in_a_parameter_that_nobody_reads_are_ignored() -> None:
    # Not every client sends such, nor every server hears it.
    query = b"n\xe9m=Jos\xe9&error_description=refus\xe9&code=a"
    read = {"code": "a", "error_description": "refusé"}
    assert parse_authorization_response(query) == read


@pytest.mark.parametrize("state", [{}, {"state": ""}, {"state": "never-given-out"}], ids=str)
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("refus%C3%A9", "refusé"),
        ("refus%E9", "refusé"),
        ("two%0D%0Alines%00", "two lines"),
        ("%3Cb%3E&error_description=again", "<b>"),
    ],
)
def test_checklist_63_error_of_nobodys_login_is_quoted_as_anybodys_word(
    begun: Begun, state: dict[str, str], written: str, read: str
) -> None:
    # A wrong redirect URI or scope: providers send the browser back with no state, or another.
    query = f"error=invalid_scope&error_description={written}&{urlencode(state)}"
    with begun.nothing_changes():
        answer = begun.deployment.call("GET", f"/api/callback?{query}", JSON)
        detail = expect_problem(answer, 400, "invalid-state")["detail"]
        assert f"“invalid_scope: {read}”" in detail
        assert "nothing shows" in detail
        answer = begun.deployment.call("GET", f"/api/callback?{query}", HTML)
        page = expect_page(answer, 400)
        assert f"invalid_scope: {escape(read)}" in page
    expect_page(begun.come_back())


def test_error_of_nobodys_login_is_quoted_in_part_only(begun: Begun) -> None:
    answer = begun.deployment.callback(JSON, error="e" * 5000)
    assert len(expect_problem(answer, 400, "invalid-state")["detail"]) < 1000


def test_error_beside_a_code_is_quoted(begun: Begun) -> None:
    answer = begun.deployment.callback(JSON, error="a", code="b", state=begun.state)
    assert "“a”" in expect_problem(answer, 400, "invalid-request")["detail"]


def test_person_who_declined_is_told_so(begun: Begun) -> None:
    answer = begun.deployment.callback(JSON, error="access_denied", state=begun.state)
    assert "declined" in expect_problem(answer, 400, "authorization-refused")["detail"]


def test_form_in_the_place_of_a_redirect_is_told_where_it_comes_from(begun: Begun) -> None:
    form = ("content-type", "application/x-www-form-urlencoded")
    body = urlencode({"code": begun.code, "state": begun.state}).encode()
    with begun.nothing_changes():
        for accept in (JSON, HTML):
            answer = begun.deployment.call("POST", "/api/callback", form, accept, content=body)
            assert answer.status_code == 405
            assert "response_mode=form_post" in answer.text
    expect_page(begun.come_back())


def test_parameters_behind_a_number_sign_are_told_where_they_come_from(begun: Begun) -> None:
    answer = begun.deployment.callback(JSON, state=begun.state)
    detail = expect_problem(answer, 400, "invalid-request")["detail"]
    assert "response_mode=query" in detail


# --- the provider's part


@pytest.mark.parametrize("fault", ["unavailable", "rate-limited", "lose-request", "lose-answer"])
def test_provider_that_cannot_answer_at_the_callback_is_away(
    begun_at_digikey: Begun, digikey: SimulatedDigiKeyPeer, fault: str
) -> None:
    begun, deployment = begun_at_digikey, begun_at_digikey.deployment
    token = expect_token(deployment.token(begun.connection))
    digikey.plan_faults(fault)
    answer = begun.come_back(JSON)
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=60)
    assert expect_token(deployment.token(begun.connection)) == token
    # And the next login works.
    deployment.log_in(begun.connection)
    assert digikey.accepts(expect_token(deployment.token(begun.connection)))


def test_page_says_that_the_provider_is_away(
    begun_at_digikey: Begun, digikey: SimulatedDigiKeyPeer
) -> None:
    digikey.plan_faults("html")
    answer = begun_at_digikey.come_back(HTML)
    expect_page(answer, 503)
    expect_retry_after(answer, at_most=60)


def test_refusal_without_a_reason_changes_nothing(
    begun_at_digikey: Begun, digikey: SimulatedDigiKeyPeer
) -> None:
    digikey.plan_faults("empty-400")
    with begun_at_digikey.nothing_changes():
        expect_problem(begun_at_digikey.come_back(JSON), 502, "code-refused")


def test_provider_that_is_not_there_breaks_nothing_else(deploy: Deploy) -> None:
    # An address that nobody listens on.
    away = deploy(TOKEN_ENDPOINT="http://127.0.0.9:9/token")
    away.put("default", grant := fresh())
    state = query_of(away.begin_login("default"))["state"]
    answer = away.callback(JSON, code="a-code", state=state)
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=60)
    assert expect_token(away.token("default")) == grant.tokens.access_token
    expect_json(away.verify("default"))
    # The access token over, there is nothing to serve until the provider is back.
    away.age("default", by=timedelta(minutes=31))
    answer = away.token("default")
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=60)
    verified = expect_json(away.verify("default"), 202)
    assert verified["last_refresh"]["outcome"] == "not-sent"
    assert verified["next_try_at"] is not None


def test_code_is_refused_to_a_wrong_client_secret(deploy: Deploy) -> None:
    wrong = deploy(CLIENT_SECRET="a wrong secret")
    callback_url = wrong.provider.allow(wrong.begin_login("default"))
    members = expect_problem(wrong.follow(callback_url, JSON), 502, "code-refused")
    assert "CLIENT_SECRET" in members["detail"]
    assert "a wrong secret" not in members["detail"]
    assert isinstance(wrong.grant("default"), Unauthorized)


@pytest.mark.parametrize(
    "description", ["\ud800 <b>", MARKUP, "\x00\x1b[2J", "x" * 9000, "“ü”"], ids=ascii
)
@pytest.mark.parametrize("accept", [HTML, JSON], ids=["page", "problem"])
def test_whatever_the_provider_says_of_a_code_is_answered_in_form(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    description: str,
    accept: tuple[str, str],
) -> None:
    refusal = {"error": "invalid_grant", "error_description": description}
    endpoint.plan(Answer.json(refusal, status=400))
    state = query_of(scripted.begin_login(connection))["state"]
    answer = scripted.callback(accept, code="a-code", state=state)
    if accept == JSON:
        expect_problem(answer, 502, "code-refused")
    else:
        assert "<b>" not in expect_page(answer, 502)


NO_ANSWERS: dict[str, Answer | None] = {
    "hung up": None,
    "empty": Answer(body=b""),
    "html": Answer(body=b"<html>"),
    "a list": Answer(body=b"[]"),
    "empty token": Answer(body=b'{"access_token": ""}'),
    "no text": Answer(body=b'{"access_token": {"x": "y"}, "token_type": "Bearer"}'),
    "half a character": Answer(body=b'{"access_token": "\\ud800", "token_type": "Bearer"}'),
    "another type": Answer(body=b'{"access_token": "x", "token_type": "mac"}'),
    "too long": Answer(body=b'{"access_token": "x", "padding": "' + b"x" * 70_000 + b'"}'),
    "redirect": Answer(status=302),
    "gateway": Answer(status=502, body=b"bad gateway"),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_answer_that_is_none_stores_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, answer: Answer | None
) -> None:
    endpoint.plan(answer)
    state = query_of(scripted.begin_login(connection))["state"]
    refused = scripted.callback(JSON, code="a-code", state=state)
    if answer is not None and answer.status == 302:
        expect_problem(refused, 502, "code-refused")
    else:
        expect_problem(refused, 503, "provider-unavailable")
    assert isinstance(scripted.grant(connection), Unauthorized)


def test_code_whose_minute_is_over_is_refused(deployment: Deployment, connection: str) -> None:
    callback_url = deployment.provider.allow(deployment.begin_login(connection))
    deployment.provider.shift_clock(61)
    try:
        expect_problem(deployment.follow(callback_url, JSON), 502, "code-refused")
    finally:
        deployment.provider.shift_clock(-61)
    assert isinstance(deployment.grant(connection), Unauthorized)


@pytest.mark.parametrize("delivery", Delivery)
def test_why_the_provider_did_not_answer_is_told_once(delivery: Delivery) -> None:
    outcome = NoAnswer(delivery=delivery, reason="ConnectError: no such name")
    detail = exchange_failed(outcome).problem.detail
    assert detail.count("no such name") == 1
