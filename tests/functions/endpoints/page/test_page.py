"""The page of connections: what it shows, and what its buttons do."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest

from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Revoked,
    Unauthorized,
    place_of,
    tokens_of,
)
from domain.ledger import DONE, TOKENS, Entry, HistoryEvent, Ledger
from domain.provider import GrantType
from domain.token_endpoint import RevocationResult
from functions.alerts.deployment import DEPLOYMENT
from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.endpoints.page.words import EVENTS, distance, login_due, state_of
from functions.http.look import Tone
from functions.settings.settings import Settings
from tests.functions.commands import ROOT
from tests.functions.conftest import Deploy
from tests.functions.deployment import API_KEY, HTML, PUBLIC_URL, Deployment, Header
from tests.functions.endpoints.page.test_sessions import CI_KEY, entry
from tests.functions.endpoints.page.visitor import Visitor, buttons_of, form_token_of
from tests.functions.expect import expect_page
from tests.functions.grants import DAY, MINUTE, authorized, fresh, over
from tests.functions.hosts import on_each_host
from tests.ports.scripted_server import answer, serving

pytestmark = pytest.mark.anyio

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;"
LOGIN = GrantType.AUTHORIZATION_CODE
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def hostile() -> AuthorizationRequired:
    tokens = replace(fresh().tokens, account=HOSTILE, scope=HOSTILE)
    return AuthorizationRequired(
        tokens=tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        since=datetime.now(UTC),
        client="c",
        quote=HOSTILE,
    )


def failing() -> Authorized:
    now = datetime.now(UTC)
    state = FailureState(
        failures=2,
        failure=Failure.UNAVAILABLE,
        at=now,
        retry_at=now + timedelta(minutes=5),
        in_doubt_since=None,
        quote="503",
    )
    return replace(fresh(), failure_state=state)


def ledger(*events: tuple[HistoryEvent, int], quote: str | None = None) -> Ledger:
    """Entries, each so many hours ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    return tuple(
        Entry(now - timedelta(hours=hours), event, 0, "ci", TOKENS, quote)
        for event, hours in events
    )


@pytest.fixture
def own(deploy: Deploy) -> Deployment:
    """A deployment with a store of its own."""
    return deploy(API_KEYS=entry(connections=["mine", "google:*"]))


def rows_of(page: str) -> list[tuple[str, str]]:
    """Return each connection on the list with its state."""
    found = re.findall(
        r'connections/([^"]+)">.*?<span class="state [a-z]+">.*?</svg> ([^<]+)<', page
    )
    return [(unescape(name), state) for name, state in found]


# The list


def test_list_has_the_worst_first_with_state_and_reason(own: Deployment) -> None:
    own.put("works", fresh())
    own.put("fails", failing())
    own.put("needs-login", replace(hostile(), quote="invalid_grant: expired"))
    own.put("ended", Revoked(at=datetime.now(UTC), result=RevocationResult.REVOKED))
    page = Visitor(deployment=own).sign_in().show("/")
    assert rows_of(page) == [
        ("needs-login", "Login needed"),
        ("fails", "Refresh fails for now"),
        ("works", "Works"),
        ("ended", "Revoked"),
    ]
    assert "4 connections. 1 needs a person." in page
    assert "(invalid_grant: expired)." in page
    assert "The provider is unavailable (503)." in page
    assert re.search(
        r"<dt>Next try</dt><dd><time[^>]+>[^<]+</time> <span[^>]+>\(in 4 minutes\)", page
    )


def test_list_of_many_is_sorted_as_a_whole_and_shown_in_pages(own: Deployment) -> None:
    for number in range(120):
        own.put(f"c{number:03}", fresh())
    own.put("z-needs-login", hostile())
    visitor = Visitor(deployment=own).sign_in()
    first = visitor.get("/")
    rows = rows_of(first.text)
    assert (len(rows), rows[0][0]) == (100, "z-needs-login")
    assert 'href="./?page=2"' in first.text
    # Pages of the store, and the record of the deployment.
    assert "store;dur=" in first.headers["server-timing"]
    assert len(rows_of(visitor.show("/?page=2"))) == 21
    for query in ("page=0", "page=x", "page=1001", "page=٣", f"page={'1' * 5000}", "after=%00"):
        expect_page(visitor.get(f"/?{query}"), 400)


def test_unreadable_record_costs_no_other_row_and_can_be_replaced(deploy: Deploy) -> None:
    deploy(CLIENT_SECRET="another-client-secret").put("broken", fresh())
    own = deploy()
    own.put("works", fresh())
    visitor = Visitor(deployment=own).sign_in()
    assert dict(rows_of(visitor.show("/"))) == {"broken": "Unreadable", "works": "Works"}
    page = visitor.get("/connections/broken")
    assert "cannot be read" in expect_page(page, has_form=True)
    assert "Log in" in buttons_of(page)


def test_checklist_73_key_for_some_connections_sees_no_other(own: Deployment) -> None:
    own.put("mine", fresh())
    own.put("others", grant := over())
    visitor = Visitor(deployment=own).sign_in(CI_KEY)
    page = visitor.show("/")
    assert rows_of(page) == [("mine", "Works")]
    assert "others" not in page
    token = form_token_of(visitor.get("/connections/mine"))
    for method, path in (
        ("GET", "/connections/others"),
        ("GET", "/connections/others/revoke"),
        ("POST", "/connections/others/revoke"),
        ("POST", "/connections/others/refresh"),
        ("POST", "/connections/others/login"),
        ("POST", "/connections/others/login-link"),
        ("GET", "/connections/google"),
    ):
        refused = visitor.get(path) if method == "GET" else visitor.post(path, token=token)
        assert "not allowed for this connection" in expect_page(refused, 403)
    assert own.grant("others") == grant


@pytest.mark.parametrize(
    ("endpoints", "buttons"),
    [
        (["verify"], {"Sign out"}),
        (["verify", "refresh"], {"Sign out", "Refresh now"}),
        (
            ["verify", "login"],
            {"Sign out", "Log in", "Log in with another account", "Copy a login link"},
        ),
        (["verify", "revoke"], {"Sign out", "Revoke"}),
    ],
)
def test_checklist_73_key_is_offered_what_it_may_do_and_nothing_else(
    deploy: Deploy, endpoints: list[str], buttons: set[str]
) -> None:
    own = deploy(API_KEYS=entry(connections=["mine"], endpoints=endpoints))
    own.put("mine", grant := fresh())
    visitor = Visitor(deployment=own).sign_in(CI_KEY)
    assert 'href="./connections/mine"' in visitor.show("/")
    page = visitor.get("/connections/mine")
    assert buttons_of(page) == buttons
    assert "Get a token" not in page.text
    token = form_token_of(page)
    actions = {"login": "login", "login-link": "login", "refresh": "refresh", "revoke": "revoke"}
    for action, endpoint in actions.items():
        if endpoint not in endpoints:
            refused = visitor.post(f"/connections/mine/{action}", token=token)
            assert "is not allowed for" in expect_page(refused, 403)
    assert own.grant("mine") == grant


def test_key_without_verify_sees_no_connection(deploy: Deploy) -> None:
    own = deploy(API_KEYS=entry(endpoints=["token"]))
    own.put("default", fresh())
    visitor = Visitor(deployment=own).sign_in(CI_KEY)
    assert rows_of(visitor.show("/")) == []
    expect_page(visitor.get("/connections/default"), 403)


# Texts of others


def test_checklist_74_markup_of_others_is_text(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, hostile(), ledger((HistoryEvent.REFRESH_FAILED, 3), quote=HOSTILE))
    visitor = Visitor(deployment=deployment).sign_in()
    for path in ("/", f"/connections/{connection}"):
        page = visitor.show(path)
        assert escape(HOSTILE) in page
        assert "<script" not in page
        assert "<img" not in page
    for path in (f"/connections/{HOSTILE}", f"/connections/x?done={HOSTILE}", f"/?after={HOSTILE}"):
        assert "<script" not in visitor.get(re.sub(r"[^!-~]", "%20", path)).text


def test_checklist_75_no_secret_is_on_a_page_or_in_the_log(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    visitor = Visitor(deployment=deployment).sign_in()
    page = visitor.get(f"/connections/{connection}")
    pages = [page.text, visitor.show("/"), visitor.show(f"/connections/{connection}/revoke")]
    answer = visitor.press("Refresh now", page)
    tokens = deployment.tokens(connection)
    seen = "".join([*pages, str(answer.headers), deployment.running.log()])
    assert visitor.cookie.partition("=")[2] not in "".join(pages)
    for secret in (API_KEY, tokens.access_token, str(tokens.refresh_token)):
        assert secret not in seen


# Forms


@pytest.mark.parametrize("action", ["login", "login-link", "refresh", "revoke"])
def test_checklist_70_form_needs_the_session_and_its_token(
    deployment: Deployment, connection: str, action: str
) -> None:
    deployment.put(connection, grant := fresh())
    visitor = Visitor(deployment=deployment).sign_in()
    path = f"/connections/{connection}/{action}"
    token = form_token_of(visitor.get(f"/connections/{connection}"))
    other = Visitor(deployment=deployment).sign_in()
    expect_page(Visitor(deployment=deployment).post(path, token=token), 401, has_form=True)
    cross: list[Header] = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")]
    for refused in (
        visitor.post(path),
        visitor.post(path, token=token[:-1] + "x"),
        visitor.post(path, token="ж"),
        other.post(path, token=token),
        *(visitor.post(path, header, token=token) for header in cross),
    ):
        assert "Nothing was done" in expect_page(refused, 400)
    assert deployment.grant(connection) == grant
    own: Header = ("origin", PUBLIC_URL)
    assert visitor.post(path, own, token=token).status_code in {200, 303}


def test_checklist_70_form_of_another_site_signs_nobody_out(visitor_at_page: Visitor) -> None:
    cookie = visitor_at_page.cookie
    expect_page(visitor_at_page.post("/sign-out"), 400)
    assert visitor_at_page.cookie == cookie
    # A browser sends no cookie with the form of another site, and accepts one in the answer.
    without = Visitor(deployment=visitor_at_page.deployment)
    headers: list[Header] = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")]
    for header in headers:
        answer = without.post("/sign-out", header)
        expect_page(answer, 400)
        assert not {"set-cookie", "clear-site-data"} & set(answer.headers)


@pytest.fixture
def visitor_at_page(deployment: Deployment) -> Visitor:
    return Visitor(deployment=deployment).sign_in()


@on_each_host
def test_login_refresh_and_revocation_by_the_buttons(
    deployment: Deployment, connection: str
) -> None:
    visitor = Visitor(deployment=deployment).sign_in()
    path = f"/connections/{connection}"
    page = visitor.get(path)
    assert buttons_of(page) == {"Sign out", "Log in", "Copy a login link"}
    # Log in.
    signed_in = visitor.cookie
    for is_own_browser in (False, True):
        answer = visitor.press("Log in", page)
        assert answer.status_code == 303
        cookies = f"{signed_in}; {visitor.cookie}" if is_own_browser else signed_in
        visitor.cookie = signed_in
        callback = deployment.provider.allow(answer.headers["location"])
        answer = deployment.follow(callback, HTML, ("cookie", cookies))
        shown = expect_page(answer, 200 if is_own_browser else 400, sets_cookie=is_own_browser)
        assert (f'href="{PUBLIC_URL}{path}"' in shown) is is_own_browser
    page = visitor.get(path)
    assert "Works" in page.text
    # Refresh.
    deployment.age(connection, MINUTE)
    before = deployment.tokens(connection)
    after = visitor.follow(visitor.press("Refresh now", page), f"{path}/refresh")
    assert "Refreshed" in after.text
    assert deployment.tokens(connection).generation == before.generation + 1
    again = visitor.follow(visitor.press("Refresh now", after), f"{path}/refresh")
    assert "Not refreshed: the tokens are only a few seconds old" in again.text
    assert deployment.tokens(connection).generation == before.generation + 1
    # Revoke: asked first, and nothing happens until the answer.
    question = visitor.get(f"{path}/revoke")
    assert "This cannot be undone" in expect_page(question, has_form=True)
    assert tokens_of(deployment.grant(connection)) is not None
    after = visitor.follow(visitor.press("Revoke", question), f"{path}/revoke")
    assert "deleted here" in after.text
    assert tokens_of(deployment.grant(connection)) is None


def test_failed_refresh_leads_back_with_the_reason(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, over())
    visitor = Visitor(deployment=deployment).sign_in()
    path = f"/connections/{connection}"
    page = visitor.follow(visitor.press("Refresh now", visitor.get(path)), f"{path}/refresh")
    assert "Login required" in page.text
    assert "no longer accepts the refresh token" in page.text


def test_login_may_replace_the_account_if_asked(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, fresh())
    visitor = Visitor(deployment=deployment).sign_in()
    page = visitor.get(f"/connections/{connection}")
    fields = re.findall(r'<input type="hidden" name="replace" value="(\w+)">', page.text)
    assert fields == ["true"]
    assert visitor.press("Log in with another account", page).status_code == 303


def test_login_link_is_there_to_copy_with_a_script_or_without(
    deployment: Deployment, connection: str
) -> None:
    visitor = Visitor(deployment=deployment).sign_in()
    answer = visitor.press("Copy a login link", visitor.get(f"/connections/{connection}"))
    assert answer.status_code == 200
    [link] = re.findall(r'<input id="link" readonly value="([^"]+)">', answer.text)
    parts = urlsplit(unescape(link))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{PUBLIC_URL}/api/login"
    assert parse_qs(parts.query)["link"]
    expect_page(deployment.open_link(unescape(link)), has_form=True)
    # One script, by its hash.
    policy = answer.headers["content-security-policy"]
    assert re.search(r"script-src 'sha256-[^' ]+'; ", policy)
    assert answer.text.count("<script") == 1


def test_login_link_renews_a_login_that_works(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    before = deployment.grant(connection)
    visitor = Visitor(deployment=deployment).sign_in()
    answer = visitor.press("Copy a login link", visitor.get(f"/connections/{connection}"))
    [link] = re.findall(r'<input id="link" readonly value="([^"]+)">', answer.text)
    pressed = deployment.press(unescape(link))
    cookie = ("cookie", pressed.headers["set-cookie"].partition(";")[0])
    redirect = deployment.provider.allow(pressed.headers["location"])
    expect_page(deployment.follow(redirect, HTML, cookie), sets_cookie=True)
    assert place_of(deployment.grant(connection)) > place_of(before)


# A connection


def test_snippets_name_this_deployment_and_connection_and_no_key(deploy: Deploy) -> None:
    name = "google:alice@example.com"
    clients = json.dumps(
        {"google": {"client_id": "c", "client_secret": "s-of-the-client", "scope": "openid"}}
    )
    own = deploy(CLIENTS=clients, ENCRYPTION_KEYS="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    own.put(name, fresh())
    page = unescape(Visitor(deployment=own).sign_in().show(f"/connections/{name}"))
    query = "?connection=google%3Aalice%40example.com"
    assert f"curl -sS -H \"x-api-key: $API_KEY\" '{PUBLIC_URL}/api/token{query}'" in page
    assert f"source = TokenSource(connection='{name}')" in page
    assert f"oauth-callback token {name}" in page
    assert f"{PUBLIC_URL}/api/oauth/token{query}" in page


def test_drawing_has_each_event_and_a_text(deployment: Deployment, connection: str) -> None:
    events = [
        (HistoryEvent.LOGIN, 48),
        (HistoryEvent.REFRESH, 30),
        (HistoryEvent.REFRESH, 20),
        (HistoryEvent.REFRESH_FAILED, 10),
        (HistoryEvent.MOVED, 5),
    ]
    deployment.put(connection, fresh(), ledger(*events))
    page = Visitor(deployment=deployment).sign_in().show(f"/connections/{connection}")
    drawing = re.search(r"<figure>(<svg.*?</svg>)<ul", page)
    assert drawing is not None
    svg = ET.fromstring(drawing[1])  # noqa: S314 - our own
    assert svg.get("role") == "img"
    assert "1 login, 2 refreshes, 1 failure, 1 other event." in str(svg.get("aria-label"))
    titles = [str(title.text) for title in svg.iter("title")]
    assert [title.partition(",")[0] for title in titles] == [
        *("Login", "Refresh", "Refresh", "Refresh failed", "Handed over"),
        *("now", "access token expires", "refresh token expires"),
    ]
    places = [
        float(re.findall(r"translate\(([\d.]+) ", str(g.get("transform")))[0])
        for g in svg
        if g.get("transform")
    ]
    assert places == sorted(places)
    rows = re.findall(r"<tr><td><time", page)
    assert len(rows) == len(events)


def test_connection_that_nobody_used_has_a_page_to_begin_with(visitor_at_page: Visitor) -> None:
    page = visitor_at_page.get("/connections/new-one")
    assert "Nobody has logged in to this connection." in expect_page(page, has_form=True)
    for name in (".", "-x", "a b", "a:b:c", "x" * 129):
        assert visitor_at_page.get(f"/connections/{name.replace(' ', '%20')}").status_code == 404


def test_deployment_shows_its_sweeps(deploy: Deploy) -> None:
    own = deploy()
    visitor = Visitor(deployment=own).sign_in()
    assert "It has not run yet" in visitor.show("/")
    own.sweep()
    assert "Last sweep" in visitor.show("/")
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=27)
    own.put(DEPLOYMENT, Unauthorized(), (Entry(long_ago, HistoryEvent.SWEPT, None, None, DONE),))
    assert "It is overdue" in visitor.show("/")


# Words


def test_each_event_has_its_words() -> None:
    assert all(EVENTS[event][0].isupper() for event in EVENTS)
    assert len(set(EVENTS.values())) == len(EVENTS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (0.5, "now"),
        (1, "in 1 second"),
        (-1, "1 second ago"),
        (59, "in 59 seconds"),
        (60, "in 1 minute"),
        (3599, "in 59 minutes"),
        (-7200, "2 hours ago"),
        (86399, "in 23 hours"),
        (86400, "in 1 day"),
        (-172800, "2 days ago"),
    ],
)
def test_distance_is_in_its_largest_unit(seconds: float, words: str) -> None:
    assert distance(NOW + timedelta(seconds=seconds), NOW) == words


def at(**changes: object) -> Authorized:
    grant = authorized(access_ends=NOW + timedelta(minutes=20), refresh_ends=None)
    return replace(grant, tokens=replace(grant.tokens, **changes))  # type: ignore[arg-type]


def refused(**changes: object) -> Authorized:
    state = failing().failure_state
    assert state is not None
    return replace(at(**changes), failure_state=replace(state, failure=Failure.REFUSED))


@pytest.mark.parametrize(
    ("grant", "tone", "word", "due"),
    [
        pytest.param(at(), Tone.GOOD, "Works", "No login is due", id="refreshable"),
        pytest.param(
            at(refresh_token_expires_at=NOW + 90 * DAY), Tone.GOOD, "Works", "in 90 days", id="idle"
        ),
        pytest.param(
            at(login_expires_at=NOW + 13 * DAY),
            Tone.SOON,
            "Login due soon",
            "in 13 days",
            id="soon",
        ),
        pytest.param(
            at(login_expires_at=NOW + 14 * DAY), Tone.GOOD, "Works", "in 14 days", id="late"
        ),
        pytest.param(
            at(refresh_token=None, expires_at=NOW + 2 * DAY),
            *(Tone.BAD, "Login needed", "works until a person must log in, in 2 days"),
            id="no refresh token",
        ),
        pytest.param(
            refused(expires_at=NOW + 2 * DAY),
            *(Tone.BAD, "Login needed", "works until a person must log in, in 2 days"),
            id="refused, and the last token is served",
        ),
        pytest.param(Unauthorized(), Tone.BAD, "Login needed", "must log in now", id="nobody yet"),
    ],
)
def test_state_is_a_word_and_says_when_a_person_must_log_in(
    grant: Grant, tone: Tone, word: str, due: str
) -> None:
    assert state_of(grant, NOW, LOGIN) == (tone, word)
    assert due in str(login_due(grant, NOW, LOGIN))


def test_client_that_needs_no_login_says_so() -> None:
    own = GrantType.CLIENT_CREDENTIALS
    assert state_of(Unauthorized(), NOW, own) == (Tone.GOOD, "Ready")
    assert login_due(Unauthorized(), NOW, own) == "It needs no login."


def test_programs_do_not_import_the_page() -> None:
    code = "import functions.asgi, sys; print(*sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    page = {name for name in found if name.startswith("functions.endpoints.page.")}
    assert page == {"functions.endpoints.page.routes"}
    assert "functions.access.sessions" in found or "functions.endpoints.callback" in found


# Alerts


def test_test_alert_shows_which_channel_took_it(deploy: Deploy) -> None:
    with (
        serving(answer("200 OK", b"{}")) as taking,
        serving(answer("403 No", b"<b>no</b>")) as other,
    ):
        channels = [
            {"kind": "slack", "name": name, "url": server.endpoint}
            for name, server in (("takes", taking), ("refuses", other))
        ]
        own = deploy(ALERTS=json.dumps(channels), API_KEYS=entry(endpoints=["connections"]))
        visitor = Visitor(deployment=own).sign_in()
        answered = visitor.press("Send a test alert", visitor.get("/"))
        page = expect_page(answered, has_form=True)
        assert re.findall(r"<h2>(\w+)</h2>.*?</svg> ([^<]+)<", page) == [
            ("takes", "Sent"),
            ("refuses", "Not sent"),
        ]
        assert "<b>no" not in page
        # It concerns the whole deployment, and costs other people's attention.
        restricted = Visitor(deployment=own).sign_in(CI_KEY)
        shown = restricted.get("/")
        assert "takes" not in shown.text
        expect_page(restricted.post("/test-alert", token=form_token_of(shown)), 403)
        assert (len(taking.requests), len(other.requests)) == (1, 1)


# Where it is


@pytest.mark.parametrize(
    ("path", "prefix", "url"),
    [
        ("/", "", "./connections/mine"),
        ("/keeper/", "/keeper", "./connections/mine"),
        ("/keeper/keeper/", "/keeper", "./connections/mine"),
    ],
)
async def test_page_works_below_a_prefix(own: Deployment, path: str, prefix: str, url: str) -> None:
    own.put("mine", fresh())
    cookie = Visitor(deployment=own).sign_in().cookie
    application = Application(ALL_ROUTES, lambda: Settings.from_environ(own.environ))
    transport = httpx.ASGITransport(application, root_path=prefix)
    async with httpx.AsyncClient(transport=transport, base_url="http://keeper.test") as client:
        page = await client.get(path, headers={"cookie": cookie})
        assert f'href="{url}"' in page.text
        inner = await client.get(f"{path}connections/mine", headers={"cookie": cookie})
        assert 'action="../connections/mine/refresh"' in inner.text
    await application.close()


async def test_prefix_without_its_final_slash_leads_to_the_first_page(own: Deployment) -> None:
    application = Application(ALL_ROUTES, lambda: Settings.from_environ(own.environ))
    transport = httpx.ASGITransport(application, root_path="/keeper")
    async with httpx.AsyncClient(transport=transport, base_url="http://keeper.test") as client:
        answer = await client.get("/keeper")
    await application.close()
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PUBLIC_URL}/")
