"""Callbacks without tokens: their answers, and that no earlier grant is lost."""

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
from functions.login.login_texts import exchange_failed
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
from tests.functions.hosts import on_each_host, on_hosts
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
        state=scripted.begin(connection),
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


def test_checklist_2_wrong_or_missing_state_is_refused(begun: Begun) -> None:
    state = begun.state
    strange = ["", "never-given-out", "x" * 4000, "нет\x00\x1b[31m<b>"]
    near = [state[:-1], state + "x", state.swapcase(), state + "\0", f" {state}"]
    wrong: list[dict[str, str]] = [{"code": "a-code", "state": text} for text in strange + near]
    wrong += [{"error": "access_denied", "state": "never-given-out"}]
    wrong += [{"error": "access_denied"}, {"code": "a-code"}, {}]
    with begun.nothing_changes():
        for parameters in wrong:
            answer = begun.deployment.callback(JSON, **parameters)
            assert "never-given-out" not in str(expect_problem(answer, 400, "invalid-state"))
            expect_page(begun.deployment.callback(HTML, **parameters), 400)
    # The login that has begun is not used up by it.
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


@on_hosts("in-process", "lambda")
def test_checklist_2_state_replayed_at_the_same_time_serves_once(begun_at_digikey: Begun) -> None:
    begun, deployment = begun_at_digikey, begun_at_digikey.deployment
    before = deployment.provider.stats()
    target = at("/api/callback", code=begun.code, state=begun.state)
    answers = deployment.together([Call(method="GET", target=target, headers=(JSON,))] * 10)
    # As after a double click: the code is sent once, and all have its result.
    assert all(expect_json(answer)["connection"] == begun.connection for answer in answers)
    after = deployment.provider.stats()
    assert after["authorization_code"] == before["authorization_code"] + 1
    assert after["refused"] == before["refused"]
    assert deployment.provider.accepts(expect_token(deployment.token(begun.connection)))


def test_checklist_11_redirect_that_is_delivered_again_has_the_same_answer(
    begun_at_digikey: Begun,
) -> None:
    begun = begun_at_digikey
    first = expect_json(begun.come_back(JSON))
    assert first["status"] == "authorized"
    with begun.nothing_changes():
        # As a browser's reload.
        assert expect_json(begun.come_back(JSON)) == first
        assert begun.connection in expect_page(begun.come_back())


def test_checklist_11_redirect_is_delivered_again_to_another_instance(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    one, other = deploy(**endpoint.environ), deploy(**endpoint.environ)
    state = one.begin()
    with ThreadPoolExecutor() as pool:
        with endpoint.held():
            first = pool.submit(one.callback, JSON, code="a-code", state=state)
            wait_until(lambda: bool(endpoint.seen))
            second = pool.submit(other.callback, JSON, code="a-code", state=state)
            # Another code does not wait.
            wrong = other.callback(JSON, code="another", state=state)
            expect_problem(wrong, 400, "invalid-state")
        assert expect_json(second.result()) == expect_json(first.result())
    assert len(endpoint.seen) == 1
    assert expect_json(other.callback(JSON, code="a-code", state=state)) == first.result().json()


def test_refused_code_is_not_sent_again(begun: Begun, endpoint: TokenEndpoint) -> None:
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    with begun.nothing_changes(asks=1):
        expect_problem(begun.come_back(JSON), 502, "code-refused")
        expect_problem(begun.come_back(JSON), 400, "invalid-state")


@pytest.mark.parametrize("failures", [0, 1])
def test_repeated_redirect_with_the_static_state_is_sent_until_it_was_answered(
    deploy: Deploy, endpoint: TokenEndpoint, failures: int
) -> None:
    deployment = deploy(**endpoint.environ, OAUTH_STATE=STATIC_STATE)
    endpoint.plan(*[Answer(status=503)] * failures)
    answers = [deployment.callback(JSON, code="a-code", state=STATIC_STATE) for _ in range(4)]
    for answer in answers[:failures]:
        expect_problem(answer, 503, "provider-unavailable")
    later = [expect_json(answer) for answer in answers[failures:]]
    assert later == later[:1] * len(later)
    assert len(endpoint.seen) == failures + 1


def test_checklist_11_prefetch_uses_up_nothing(begun: Begun) -> None:
    rows = begun.deployment.rows()
    with begun.nothing_changes():
        for header in (
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ):
            expect_problem(begun.come_back(JSON, header), 503, "prefetch-refused")
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


def test_code_that_the_provider_never_issued_is_refused(begun_at_digikey: Begun) -> None:
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


@on_each_host
@pytest.mark.parametrize("name", ["error", "error_description"])
def test_checklist_9_markup_in_an_error_is_escaped_in_the_page(begun: Begun, name: str) -> None:
    parameters = {"error": "access_denied", name: MARKUP, "state": begun.state}
    with begun.nothing_changes():
        page = expect_page(begun.deployment.callback(HTML, **parameters), 400)
    assert MARKUP not in page
    assert "<img" not in page
    assert MARKUP in unescape(page)


@on_each_host
@pytest.mark.parametrize("name", ["error", "error_description"])
def test_checklist_44_markup_in_an_error_is_intact_json_in_a_problem(
    begun: Begun, name: str
) -> None:
    text = MARKUP + ' \\ \n \x00 \x7f “ü” \U0001f600 \u2028 "}'
    parameters = {"error": "access_denied", name: text, "state": begun.state}
    answer = begun.deployment.callback(JSON, **parameters)
    assert text in expect_problem(answer, 400, "authorization-refused")["detail"]


@pytest.mark.parametrize(
    ("parameters", "name", "text"),
    [
        ({"error": "e" * 5000}, "authorization-refused", "eee"),
        ({"error": "e" * 5000, "state": None}, "invalid-state", "eee"),
        ({"error": "a", "code": "b"}, "invalid-request", "“a”"),
        ({"error": "access_denied"}, "authorization-refused", "declined"),
        # Parameters after a number sign do not reach the server.
        ({}, "invalid-request", "response_mode=query"),
    ],
    ids=["a long error", "a long error without a login", "and a code", "declined", "no parameters"],
)
def test_problem_quotes_the_error_in_part_and_names_the_cause(
    begun: Begun, parameters: dict[str, str | None], name: str, text: str
) -> None:
    given = {"state": begun.state, **parameters}
    sent = {key: value for key, value in given.items() if value is not None}
    detail = expect_problem(begun.deployment.callback(JSON, **sent), 400, name)["detail"]
    assert text in detail
    assert len(detail) < 1000


BAD_QUERIES = [
    *["code=a&error=access_denied", "", "code=", "error=", "code=&error="],
    *["code=a&code=a", "code=a&code=b", "error=a&error=a", "code=a&c%6fde=b"],
    *["code=a&state=another", "code=a&iss=x&iss=x", "code=%ff", "error=%ff"],
]


def test_checklist_10_contradictory_or_repeated_parameters_are_refused_and_use_up_nothing(
    begun: Begun,
) -> None:
    rows = begun.deployment.rows()
    with begun.nothing_changes():
        for query in BAD_QUERIES:
            target = f"/api/callback?{query}&state={begun.state}"
            expect_problem(begun.deployment.call("GET", target, JSON), 400, "invalid-request")
            expect_page(begun.deployment.call("GET", target, HTML), 400)
    assert begun.deployment.rows() == rows
    expect_page(begun.come_back())


@on_each_host
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
def test_checklist_63_other_parameters_are_ignored_in_any_spelling(
    begun: Begun, others: str
) -> None:
    target = f"/api/callback?{others}&code={begun.code}&state={begun.state}"
    expect_page(begun.deployment.call("GET", target, HTML))
    assert begun.asked() == 1


def test_raw_bytes_in_other_parameters_are_ignored() -> None:
    # Not every client sends such bytes, and not every server accepts them.
    query = b"n\xe9m=Jos\xe9&error_description=refus\xe9&code=a"
    read = {"code": "a", "error_description": "refusé"}
    assert parse_authorization_response(query) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("refus%C3%A9", "refusé"),
        ("refus%E9", "refusé"),
        ("two%0D%0Alines%00", "two lines"),
        ("%3Cb%3E&error_description=again", "<b>"),
    ],
)
def test_checklist_63_error_without_a_login_is_quoted_as_unverified(
    begun: Begun, written: str, read: str
) -> None:
    # A wrong redirect URI or scope: providers send the browser back with no state, or another.
    for state in ("", "state=", "state=never-given-out"):
        query = f"error=invalid_scope&error_description={written}&{state}"
        with begun.nothing_changes():
            answer = begun.deployment.call("GET", f"/api/callback?{query}", JSON)
            detail = expect_problem(answer, 400, "invalid-state")["detail"]
            assert f"“invalid_scope: {read}”" in detail
            assert "nothing shows" in detail
            answer = begun.deployment.call("GET", f"/api/callback?{query}", HTML)
            assert f"invalid_scope: {escape(read)}" in expect_page(answer, 400)
    expect_page(begun.come_back())


def test_answer_to_a_form_instead_of_a_redirect_names_its_cause(begun: Begun) -> None:
    form = ("content-type", "application/x-www-form-urlencoded")
    body = urlencode({"code": begun.code, "state": begun.state}).encode()
    with begun.nothing_changes():
        for accept in (JSON, HTML):
            answer = begun.deployment.call("POST", "/api/callback", form, accept, content=body)
            assert answer.status_code == 405
            assert "response_mode=form_post" in answer.text
    expect_page(begun.come_back())


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


def test_page_reports_that_the_provider_is_away(
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
    state = away.begin()
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


def come_back_to(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    planned: Answer | None,
    *headers: Header,
) -> httpx.Response:
    """Log in at a provider that answers so."""
    endpoint.plan(planned)
    state = scripted.begin(connection)
    return scripted.callback(*(headers or (JSON,)), code="a-code", state=state)


@pytest.mark.parametrize(
    "description", ["\ud800 <b>", MARKUP, "\x00\x1b[2J", "x" * 9000, "“ü”"], ids=ascii
)
def test_any_words_of_the_provider_are_answered_in_form(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, description: str
) -> None:
    words = {"error": "invalid_grant", "error_description": description}
    refusal = Answer.json(words, status=400)
    answer = come_back_to(scripted, endpoint, connection, refusal)
    expect_problem(answer, 502, "code-refused")
    answer = come_back_to(scripted, endpoint, connection, refusal, HTML)
    assert "<b>" not in expect_page(answer, 502)


HALF_A_CHARACTER = Answer.json({"access_token": "\ud800", "token_type": "Bearer"})


@pytest.mark.parametrize(
    ("planned", "status", "name"),
    [
        (None, 503, "provider-unavailable"),
        (Answer(body=b"<html>"), 503, "provider-unavailable"),
        (HALF_A_CHARACTER, 503, "provider-unavailable"),
        (Answer(status=302), 502, "code-refused"),
    ],
    ids=["hung up", "html", "half a character", "redirect"],
)
def test_unusable_answer_stores_nothing(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    planned: Answer | None,
    status: int,
    name: str,
) -> None:
    expect_problem(come_back_to(scripted, endpoint, connection, planned), status, name)
    assert isinstance(scripted.grant(connection), Unauthorized)


def test_expired_code_is_refused(deployment: Deployment, connection: str) -> None:
    callback_url = deployment.provider.allow(deployment.begin_login(connection))
    deployment.provider.shift_clock(61)
    try:
        expect_problem(deployment.follow(callback_url, JSON), 502, "code-refused")
    finally:
        deployment.provider.shift_clock(-61)
    assert isinstance(deployment.grant(connection), Unauthorized)


@pytest.mark.parametrize("delivery", Delivery)
def test_reason_why_the_provider_did_not_answer_is_quoted_once(delivery: Delivery) -> None:
    outcome = NoAnswer(delivery=delivery, reason="ConnectError: no such name")
    detail = exchange_failed(outcome).problem.detail
    assert detail.count("no such name") == 1
