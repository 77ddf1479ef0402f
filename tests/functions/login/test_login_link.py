"""A login by a link, without the API key, and the browser that it is bound to."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import httpx
import pytest

from adapters.sealing import derive_key, stretch_key
from domain.grant import Authorized, Unauthorized, place_of
from domain.login_link import LINK_LIFETIME, LoginLink
from functions.http.own_page import origin_of
from tests.functions.conftest import Deploy
from tests.functions.deployment import HTML, JSON, PUBLIC_URL, Deployment, Header, at, query_of
from tests.functions.expect import (
    expect_common_headers,
    expect_json,
    expect_page,
    expect_problem,
    expect_token,
)
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host, on_each_host_and_store, on_hosts
from tests.functions.login.test_accounts import log_in, tokens_of
from tests.functions.token_endpoint import TokenEndpoint
from tests.system.waiting import wait_until

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


def begun(deployment: Deployment, link: str) -> tuple[str, tuple[str, str]]:
    """Press the button; return where the browser is sent, and the cookie that it is given."""
    answer = deployment.press(link)
    assert answer.status_code == 303, answer.text
    expect_common_headers(answer, sets_cookie=True)
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    return answer.headers["location"], ("cookie", f"{name}={value}")


def state_of(location: str) -> str:
    return query_of(location)["state"]


def signed(
    deployment: Deployment,
    *,
    connection: str = "default",
    lasts: timedelta = LINK_LIFETIME,
    key: bytes = b"",
    renews: int | None = None,
) -> str:
    """A link that the deployment could have made, or somebody else."""
    salt = f"oauth-callback signatures of {deployment.environ['CLIENT_ID']}"
    root = stretch_key(deployment.environ["CLIENT_SECRET"], salt)
    known = derive_key(root, "login links")
    link = LoginLink(
        connection=connection,
        id=secrets.token_urlsafe(),
        expires_at=datetime.now(UTC) + lasts,
        read=renews,
        renews=renews is not None,
    )
    return f"{PUBLIC_URL}/api/login?link={link.sign(key or known)}"


# --- where links are given


def test_problem_that_asks_for_a_login_has_a_link(deployment: Deployment, connection: str) -> None:
    for answer, status, name in (
        (deployment.token(connection), 401, "authorization-required"),
        (deployment.verify(connection), 404, "not-authorized"),
        (deployment.refresh(connection), 401, "authorization-required"),
    ):
        members = expect_problem(answer, status, name)
        link = members["login"]["link"]
        assert link.startswith(f"{PUBLIC_URL}/api/login?link=")
        assert members["login"]["link_expires_in"] == LINK_LIFETIME.total_seconds()
        # Details end up in logs, and the link must not.
        assert link not in members["detail"]
        assert connection in expect_page(deployment.open_link(link), has_form=True)


def test_each_link_is_another_and_needs_the_api_key(
    deployment: Deployment, connection: str
) -> None:
    assert len({deployment.link(connection) for _ in range(5)}) == 5
    answer = deployment.call("GET", at("/api/token", connection=connection))
    assert "link" not in expect_problem(answer, 401, "api-key-missing")


def test_without_a_public_address_no_link_is_given(deploy: Deploy) -> None:
    deployment = deploy(PUBLIC_URL=None)
    members = expect_problem(deployment.token("default"), 401, "authorization-required")
    assert members["login"] == {"method": "POST", "url": "/api/login"}


# --- what it does


@on_each_host_and_store
def test_link_leads_to_a_login_that_works(deployment: Deployment, connection: str) -> None:
    link = deployment.link(connection)
    page = expect_page(deployment.open_link(link), has_form=True)
    assert connection in page
    assert f'<form method="post" action="{PUBLIC_URL}/api/login">' in page
    assert f'<input type="hidden" name="link" value="{query_of(link)["link"]}">' in page
    location, cookie = begun(deployment, link)
    assert location.partition("?")[0] == deployment.provider.authorization_endpoint
    callback_url = deployment.provider.allow(location)
    expect_page(deployment.follow(callback_url, HTML, cookie), sets_cookie=True)
    assert deployment.provider.accepts(expect_token(deployment.token(connection)))


@on_each_host
@pytest.mark.parametrize(
    "kind",
    [
        "Application/X-WWW-Form-URLEncoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "APPLICATION/x-www-form-urlencoded ; charset=UTF-8",
    ],
)
def test_type_of_a_form_is_read_in_any_case(
    deployment: Deployment, connection: str, kind: str
) -> None:
    form = urlencode({"link": query_of(deployment.link(connection))["link"]}).encode()
    answer = deployment.call("POST", "/api/login", ("content-type", kind), HTML, content=form)
    assert answer.status_code == 303, answer.text


def test_checklist_12_provider_does_not_see_the_link(
    deployment: Deployment, connection: str
) -> None:
    link = deployment.link(connection)
    for answer in (deployment.open_link(link), deployment.press(link)):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert query_of(link)["link"] not in answer.headers.get("location", "")


def test_looking_at_a_link_uses_up_nothing(deployment: Deployment, connection: str) -> None:
    link = deployment.link(connection)
    before = deployment.rows()
    for method in ("GET", "HEAD", "HEAD", "GET"):
        answer = deployment.open_link(link, method=method)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert deployment.rows() == before
    begun(deployment, link)


def test_link_serves_once(deployment: Deployment, connection: str) -> None:
    link = deployment.link(connection)
    begun(deployment, link)
    problem = expect_problem(deployment.press(link, JSON), 400, "invalid-link")
    assert "already used" in problem["detail"]
    expect_page(deployment.press(link), 400)
    # Another link of the same connection does.
    begun(deployment, deployment.link(connection))


@on_hosts("in-process", "lambda")
def test_link_that_is_used_at_the_same_time_serves_once(
    deployment: Deployment, connection: str
) -> None:
    answers = deployment.together([deployment.pressing(deployment.link(connection), JSON)] * 10)
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 9


def test_link_that_was_not_made_here_is_refused(deployment: Deployment) -> None:
    good = query_of(signed(deployment))["link"]
    for text in (good[:-1], good + "x", good.swapcase(), f"x{good}", "x", ".", "a.b", "ж", "\0"):
        for answer in (
            deployment.call("GET", at("/api/login", link=text), JSON),
            deployment.press(f"https://x/?{httpx.QueryParams(link=text)}", JSON),
        ):
            expect_problem(answer, 400, "invalid-link")
    stranger = signed(deployment, key=b"another deployment's")
    expect_problem(deployment.press(stranger, JSON), 400, "invalid-link")
    expect_page(deployment.open_link(stranger), 400)
    expect_page(deployment.open_link(signed(deployment)), has_form=True)


def test_link_expires(deployment: Deployment, connection: str) -> None:
    over = signed(deployment, lasts=timedelta(0))
    problem = expect_problem(deployment.press(over, JSON), 400, "invalid-link")
    assert "expired" in problem["detail"]
    expect_page(deployment.open_link(over), 400)
    begun(deployment, signed(deployment, connection=connection, lasts=timedelta(minutes=2)))


def test_link_is_known_for_as_long_as_the_key_it_was_signed_with(deploy: Deploy) -> None:
    link = deploy(ENCRYPTION_KEYS=KEY).link("default")
    other = deploy(ENCRYPTION_KEYS=OTHER_KEY)
    members = expect_problem(other.press(link, JSON), 400, "invalid-link")
    assert "did not issue" in members["detail"]
    begun(deploy(ENCRYPTION_KEYS=f"{OTHER_KEY},{KEY}"), link)


@pytest.mark.parametrize("keys", [None, KEY], ids=["without keys", "with a key"])
def test_checklist_61_a_client_secret_cannot_be_guessed_from_links_and_states(
    deploy: Deploy, keys: str | None
) -> None:
    deployment = deploy(CLIENT_SECRET="changeme", ENCRYPTION_KEYS=keys)
    state, _, state_signature = state_of(deployment.begin_login("default")).rpartition("-")
    link, _, link_signature = query_of(deployment.link("default"))["link"].rpartition(".")
    # Every key that is derived from it in microseconds.
    root = derive_key("changeme")
    roots = [b"changeme", root, sha256(b"changeme").digest()]
    guesses = [
        *roots,
        *(derive_key(one, name) for one in roots for name in ("states", "login links")),
    ]
    for guess in guesses:
        for text in (state, f"state {state}"):
            digest = hmac.digest(guess, text.encode(), "sha256")
            assert not digest.hex().startswith(state_signature)
        digest = hmac.digest(guess, link.encode(), "sha256")
        assert urlsafe_b64encode(digest).decode().rstrip("=") != link_signature


def test_checklist_61_encryption_keys_sign_with_any_client_secret(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    one = deploy(**endpoint.environ, ENCRYPTION_KEYS=KEY)
    state = one.begin()
    other = deploy(**endpoint.environ, ENCRYPTION_KEYS=f"{OTHER_KEY},{KEY}", CLIENT_SECRET="else")
    expect_page(other.callback(HTML, code="a-code", state=state))


def test_checklist_13_button_of_another_site_begins_no_login(
    deployment: Deployment, connection: str
) -> None:
    link = deployment.link(connection)
    before = deployment.rows()
    answer = deployment.press(link, JSON, ("sec-fetch-site", "cross-site"))
    assert "Another site" in expect_problem(answer, 400, "invalid-link")["detail"]
    expect_page(deployment.press(link, HTML, ("sec-fetch-site", "cross-site")), 400)
    # It is not used up by that; and to look at it, people come from anywhere.
    assert deployment.rows() == before
    looked = deployment.open_link(link, HTML, ("sec-fetch-site", "cross-site"))
    expect_page(looked, has_form=True)
    assert deployment.press(link, HTML, ("sec-fetch-site", "same-origin")).status_code == 303


@pytest.mark.parametrize(
    "sent",
    [
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "none")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-origin"), ("origin", "https://evil.test")],
        [("sec-fetch-site", "same-site"), ("origin", PUBLIC_URL)],
        [("origin", "https://evil.test")],
        [("origin", "https://other.keeper.test")],
        [("origin", f"{PUBLIC_URL}.evil.test")],
        [("origin", f"{PUBLIC_URL}:8443")],
        [("origin", PUBLIC_URL.replace("https", "http"))],
        [("origin", "null")],
        [("origin", "")],
        [("origin", PUBLIC_URL), ("origin", "https://evil.test")],
        [("origin", "https://evil.test"), ("host", "evil.test")],
    ],
    ids=str,
)
def test_checklist_13_button_wants_its_own_origin(
    deployment: Deployment, connection: str, sent: list[Header]
) -> None:
    link = deployment.link(connection)
    answer = deployment.press(link, JSON, *sent)
    assert "Another site" in expect_problem(answer, 400, "invalid-link")["detail"]
    # It is not used up by that, nor by what a proxy makes of the host.
    own: list[Header] = [("origin", PUBLIC_URL), ("sec-fetch-site", "same-origin")]
    answer = deployment.press(link, HTML, ("host", "inner.example"), *own)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "sent",
    [[("origin", PUBLIC_URL)], [("origin", "null"), ("sec-fetch-site", "same-origin")], []],
    ids=str,
)
def test_button_works_in_browsers_with_fewer_headers(
    deployment: Deployment, connection: str, sent: list[Header]
) -> None:
    link = deployment.link(connection)
    assert 'name="referrer" content="same-origin"' in deployment.open_link(link).text
    assert deployment.press(link, HTML, *sent).status_code == 303


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("HTTPS://Keeper.Test:443/below/", "https://keeper.test"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://keeper.test:8443", "https://keeper.test:8443"),
    ],
)
def test_origin_of_an_address_is_the_one_that_browsers_send(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_checklist_13_login_without_a_link_or_a_key_is_refused(deployment: Deployment) -> None:
    for target in ("/api/login", "/api/login?link="):
        expect_problem(deployment.call("GET", target, JSON), 400, "invalid-request")
    expect_problem(deployment.call("POST", "/api/login"), 401, "api-key-missing")


def test_checklist_13_connection_that_works_is_not_replaced_by_a_link(
    deployment: Deployment, connection: str
) -> None:
    link = deployment.link(connection)
    deployment.put(connection, grant := fresh())
    expect_problem(deployment.press(link, JSON), 409, "login-not-needed")
    # It is used up by that.
    expect_problem(deployment.press(link, JSON), 400, "invalid-link")
    assert deployment.grant(connection) == grant


def test_checklist_13_login_that_others_have_overtaken_replaces_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    location, cookie = begun(scripted, scripted.link(connection))
    scripted.put(connection, grant := fresh())
    answer = scripted.callback(JSON, cookie, code="a-code", state=state_of(location))
    expect_problem(answer, 409, "login-not-needed", sets_cookie=True)
    assert endpoint.seen == []
    assert scripted.grant(connection) == grant


def test_checklist_13_login_that_others_overtake_while_its_code_is_sent_replaces_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    location, cookie = begun(scripted, scripted.link(connection))
    grant = fresh()
    with ThreadPoolExecutor() as pool:
        with endpoint.held():
            answer = pool.submit(
                scripted.callback, JSON, cookie, code="a-code", state=state_of(location)
            )
            wait_until(lambda: bool(endpoint.seen))
            scripted.put(connection, grant)
        expect_problem(answer.result(), 409, "login-not-needed", sets_cookie=True)
    assert scripted.grant(connection) == grant


def test_link_that_renews_replaces_the_login_that_it_was_made_for(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    before = deployment.grant(connection)
    link, another = (
        signed(deployment, connection=connection, renews=place_of(before)) for _ in range(2)
    )
    location, cookie = begun(deployment, link)
    expect_page(
        deployment.follow(deployment.provider.allow(location), HTML, cookie), sets_cookie=True
    )
    after = deployment.grant(connection)
    assert isinstance(after, Authorized)
    assert place_of(after) > place_of(before)
    # That login is over.
    expect_problem(deployment.press(another, JSON), 409, "login-not-needed")


def test_link_that_renews_changes_no_account(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, "alice"))
    grant = scripted.grant(connection)
    link = signed(scripted, connection=connection, renews=place_of(grant))
    location, cookie = begun(scripted, link)
    endpoint.plan(tokens_of("bob"))
    answer = scripted.callback(JSON, cookie, code="a-code", state=state_of(location))
    expect_problem(answer, 409, "other-account", sets_cookie=True)
    assert scripted.grant(connection) == grant


def test_silent_issuer_does_not_cost_the_link(deploy: Deploy, endpoint: TokenEndpoint) -> None:
    deployment = deploy(**endpoint.issuer_environ)
    link = deployment.link("default")
    expect_problem(deployment.press(link, JSON), 503, "provider-unavailable")
    endpoint.metadata = {}
    begun(deployment, link)


# --- the browser


def test_checklist_1_state_is_bound_to_the_browser_by_a_host_cookie(
    deployment: Deployment, connection: str
) -> None:
    answer = deployment.press(deployment.link(connection))
    [(name, morsel)] = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name.startswith("__Host-")
    assert len(morsel.value) >= 43
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert (morsel["path"], morsel["domain"]) == ("/", "")
    assert 0 < int(morsel["max-age"]) <= 600
    # The store has only its hash.
    assert morsel.value not in str(deployment.rows())


@pytest.mark.parametrize(
    "public_url", ["http://localhost:8000", "http://127.0.0.1:8000", "HTTP://localhost:8000"]
)
def test_cookie_does_without_tls_on_loopback_only(deploy: Deploy, public_url: str) -> None:
    deployment = deploy(PUBLIC_URL=public_url)
    answer = deployment.press(deployment.link("default"))
    [(name, morsel)] = SimpleCookie(answer.headers["set-cookie"]).items()
    assert not name.startswith("__")
    assert not morsel["secure"]
    assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")


def wrong_browsers(cookie: tuple[str, str]) -> list[list[Header]]:
    """Cookies of other browsers, of which the first sends none."""
    name, _, value = cookie[1].partition("=")
    texts = [
        f"{name}=",
        f"{name}={value[:-1]}",
        f"{name}={value}x",
        f"{name}x={value}",
        f"x={value}",
        f"{name}={value}; {name}={value}",
        f"{name}={value[:-1]}ж",
    ]
    others: list[list[Header]] = [[("cookie", text.encode())] for text in texts]
    return [[], *others]


@on_each_host
def test_checklist_1_callback_in_another_browser_is_refused_and_its_code_not_sent(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    _, cookie = begun(scripted, scripted.link(connection))
    for number, _ in enumerate(wrong_browsers(cookie)):
        location, cookie = begun(scripted, scripted.link(connection))
        state = state_of(location)
        headers = wrong_browsers(cookie)[number]
        answer = scripted.callback(JSON, *headers, code="a-code", state=state)
        assert answer.status_code == 400, headers
        assert answer.json()["type"].endswith(":other-browser")
        # The state is used up by it.
        answer = scripted.callback(JSON, cookie, code="a-code", state=state)
        expect_problem(answer, 400, "invalid-state", sets_cookie=True)
    assert endpoint.seen == []
    assert isinstance(scripted.grant(connection), Unauthorized)


def test_error_in_another_browser_is_not_taken_for_the_providers(
    scripted: Deployment, connection: str
) -> None:
    location, _ = begun(scripted, scripted.link(connection))
    denied = {"error": "access_denied", "state": state_of(location)}
    expect_problem(scripted.callback(JSON, **denied), 400, "other-browser")


@on_each_host
@pytest.mark.parametrize("accept", [HTML, JSON], ids=["page", "json"])
def test_cookie_is_taken_back_when_the_login_is_over(
    scripted: Deployment, connection: str, accept: Header
) -> None:
    location, cookie = begun(scripted, scripted.link(connection))
    answer = scripted.callback(accept, cookie, code="a-code", state=state_of(location))
    assert answer.status_code == 200
    [(name, morsel)] = SimpleCookie(answer.headers["set-cookie"]).items()
    assert cookie[1].startswith(f"{name}=")
    assert (morsel.value, morsel["max-age"]) == ("", "0")
    assert (morsel["secure"], morsel["path"]) == (True, "/")


def test_checklist_11_login_of_a_link_that_is_delivered_again_is_shown_to_its_browser_only(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    location, cookie = begun(scripted, scripted.link(connection))
    redirect = {"code": "a-code", "state": state_of(location)}
    first = expect_json(scripted.callback(JSON, cookie, **redirect), sets_cookie=True)
    assert expect_json(scripted.callback(JSON, cookie, **redirect), sets_cookie=True) == first
    for other in wrong_browsers(cookie):
        answer = scripted.callback(JSON, *other, **redirect)
        assert answer.status_code == 200
        assert set(answer.json()) == {"status", "detail"}
        assert connection not in answer.text
    assert len(endpoint.seen) == 1


@on_each_host
def test_logins_in_two_tabs_do_not_disturb_each_other(
    scripted: Deployment, connection: str
) -> None:
    others = f"{connection}-other"
    first, one = begun(scripted, scripted.link(connection))
    second, two = begun(scripted, scripted.link(others))
    both = ("cookie", f"theme=dark; {one[1]}; {two[1]}")
    for location, name in ((second, others), (first, connection)):
        answer = scripted.callback(JSON, both, code="a-code", state=state_of(location))
        assert expect_json(answer, sets_cookie=True)["connection"] == name


def test_login_begun_with_the_api_key_may_be_finished_in_any_browser(
    scripted: Deployment, connection: str
) -> None:
    state = scripted.begin(connection)
    stray = ("cookie", "__Host-oauth-login-0=x; x")
    expect_page(scripted.callback(HTML, stray, code="a-code", state=state))
    assert isinstance(scripted.grant(connection), Authorized)
