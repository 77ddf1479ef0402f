"""Signing in to the page and out, and what ends a session."""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.sealed_passes import SealedPasses
from adapters.signing_keys import SigningKeys
from domain.page_session import SESSION_LIFETIME, Pass, key_fingerprint
from functions.settings.api_keys import digest_of
from ports.passes import PassKind
from tests.client_keys import jwk_of
from tests.functions.commands import run_admin
from tests.functions.conftest import Deploy
from tests.functions.deployment import API_KEY, HTML, Deployment, Header
from tests.functions.endpoints.page.visitor import FORM, Visitor, buttons_of
from tests.functions.expect import expect_page, expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host
from tests.issuers import AUDIENCE, KEY_ID, SUBJECT, running_issuer

CI_KEY = "the-key-of-a-build-server-0815"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
T0 = datetime(2026, 11, 30, 12, tzinfo=UTC)


def entry(name: str = "ci", key: str = CI_KEY, **more: object) -> str:
    return json.dumps([{"name": name, "sha256": digest_of(key.encode()).hex(), **more}])


@pytest.fixture
def visitor(deployment: Deployment) -> Visitor:
    return Visitor(deployment=deployment)


# Signing in


@on_each_host
def test_key_opens_the_list_and_signing_out_closes_it(deployment: Deployment) -> None:
    deployment.put("a-connection", fresh())
    visitor = Visitor(deployment=deployment)
    assert 'name="key" type="password"' in visitor.show("/")
    visitor.sign_in()
    assert "a-connection" in visitor.show("/")
    page = visitor.get("/connections/a-connection")
    answer = visitor.press("Sign out", page)
    assert answer.headers["clear-site-data"] == '"cache"'
    assert visitor.cookie == ""
    for path in ("/", "/connections/a-connection"):
        again = visitor.get(path)
        assert 'name="key" type="password"' in again.text
        assert "Works" not in again.text


def test_checklist_69_session_cookie_is_host_only_and_has_no_key(visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", key=f" {API_KEY}\n")
    [(name, morsel)] = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name == "__Host-session"
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert (morsel["path"], morsel["domain"], morsel["max-age"]) == ("/", "", "28800")
    digest = digest_of(API_KEY.encode()).hex()
    assert not {API_KEY, digest} & set(re.split(r"[.=;]", answer.headers["set-cookie"]))


@pytest.mark.parametrize("public_url", ["http://localhost:8000", "http://[::1]:8000"])
def test_checklist_69_session_cookie_does_without_tls_on_loopback_only(
    deploy: Deploy, public_url: str
) -> None:
    answer = Visitor(deployment=deploy(PUBLIC_URL=public_url)).post("/sign-in", key=API_KEY)
    assert answer.headers["set-cookie"].startswith("session=")
    assert "Secure" not in answer.headers["set-cookie"]


@pytest.mark.parametrize("given", ["", "x", API_KEY[:-1], API_KEY + "x", "ключ", "eyJ.e30.x"])
def test_checklist_69_other_texts_than_a_key_do_not_sign_in(visitor: Visitor, given: str) -> None:
    answer = visitor.post("/sign-in", key=given)
    assert "To the first page" in expect_page(answer, 401)
    assert not visitor.cookie


def test_checklist_69_identity_token_does_not_sign_in(deploy: Deploy) -> None:
    with running_issuer() as issuer:
        issuer.publish(jwk_of("rsa", kid=KEY_ID))
        rule = {"name": "deploy", "issuer": issuer.url, "audience": AUDIENCE}
        deployment = deploy(CALLERS=json.dumps([{**rule, "claims": {"sub": SUBJECT}}]))
        deployment.put("default", fresh())
        visitor, token = Visitor(deployment=deployment), issuer.token()
        bearer = ("authorization", f"Bearer {token}")
        expect_token(deployment.call("GET", "/api/token", bearer))
        expect_page(visitor.post("/sign-in", key=token), 401)
        expect_page(visitor.post("/sign-in", bearer), 401)


def test_checklist_69_failed_sign_ins_are_limited_and_a_key_still_works(deploy: Deploy) -> None:
    visitor = Visitor(deployment=deploy(FAILURE_LIMIT="3"))
    statuses = [visitor.post("/sign-in", key="wrong").status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    visitor.sign_in()


def test_checklist_70_form_of_another_site_does_not_sign_in(visitor: Visitor) -> None:
    headers: list[Header] = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")]
    for header in headers:
        expect_page(visitor.post("/sign-in", header, key=API_KEY), 400)
    assert not visitor.cookie


@pytest.mark.parametrize(
    ("connection", "location"),
    [
        ("google:alice@example.com", "./connections/google:alice@example.com"),
        ("//evil.test", "./"),
        ("../x", "./"),
        ("https://evil.test", "./"),
    ],
)
def test_checklist_70_signing_in_leads_to_a_page_of_this_deployment(
    visitor: Visitor, connection: str, location: str
) -> None:
    answer = visitor.post("/sign-in", key=API_KEY, connection=connection)
    assert answer.headers["location"] == location


def test_page_of_a_connection_asks_to_sign_in_and_leads_back(visitor: Visitor) -> None:
    page = visitor.get("/connections/a:b")
    assert page.status_code == 401
    assert '<input type="hidden" name="connection" value="a:b">' in page.text
    assert "This did not work" not in page.text


# The end of a session


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"API_KEYS": entry("other", "another-key-of-the-deployment-1")}, id="removed"),
        pytest.param({"API_KEYS": entry(key="a-new-key-of-the-build-server-2")}, id="changed"),
        pytest.param({"API_KEYS": entry(expires="2020-01-01")}, id="expired"),
        pytest.param({"API_KEYS": entry(), "ENCRYPTION_KEYS": KEY}, id="other signing key"),
    ],
)
def test_checklist_71_session_ends_with_its_key(deploy: Deploy, changes: dict[str, str]) -> None:
    before = deploy(API_KEYS=entry())
    before.put("default", grant := fresh())
    cookie = Visitor(deployment=before).sign_in(CI_KEY).cookie
    assert "Works" in Visitor(deployment=before, cookie=cookie).show("/")
    dead = Visitor(deployment=deploy(**changes), cookie=cookie)
    page = expect_page(dead.get("/"), sets_cookie=True, has_form=True)
    assert "Your session has ended" in page
    assert "Works" not in page
    answer = dead.post("/connections/default/refresh")
    assert "Nothing was done" in expect_page(answer, 401, sets_cookie=True, has_form=True)
    assert before.grant("default") == grant


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cookie: cookie[:-1],
        lambda cookie: cookie + "0",
        lambda cookie: cookie.swapcase(),
        lambda cookie: f"{cookie}; {cookie}",
        lambda cookie: re.sub(r"v1\.[0-9a-f]+", "v1.00000000", cookie),
        lambda _: "__Host-session=",
        lambda _: "__Host-session=a.1.b.c",
        lambda cookie: cookie.replace("__Host-", ""),
        lambda cookie: cookie.replace("=", "=ж"),
    ],
)
def test_checklist_71_cookie_that_was_not_given_is_none(
    visitor: Visitor, spoil: Callable[[str], str]
) -> None:
    visitor.sign_in()
    cookie: Header = ("cookie", spoil(visitor.cookie).encode())
    page = visitor.deployment.call("GET", "/connections/default", HTML, cookie)
    assert 'name="key" type="password"' in page.text
    assert page.status_code == 401


@pytest.mark.parametrize(
    ("lasts", "is_valid"),
    [
        pytest.param(timedelta(seconds=-1), False, id="over"),
        pytest.param(timedelta(minutes=2), True, id="valid"),
        pytest.param(SESSION_LIFETIME + timedelta(minutes=3), False, id="of a wrong clock"),
    ],
)
def test_checklist_71_session_and_link_expire(
    deploy: Deploy, lasts: timedelta, *, is_valid: bool
) -> None:
    deployment = deploy(ENCRYPTION_KEYS=KEY)
    fingerprint = key_fingerprint(digest_of(API_KEY.encode()))
    pass_ = Pass(secret="a-secret", expires_at=datetime.now(UTC) + lasts, key=fingerprint)
    signing_keys = SigningKeys([b64decode(KEY)], client_id="", client_secrets=[])
    passes = SealedPasses(lambda: signing_keys.of("page sessions"))
    session, link = (asyncio.run(passes.write(pass_, kind)) for kind in PassKind)
    visitor = Visitor(deployment=deployment, cookie=f"__Host-session={session}")
    assert ("Sign out" in visitor.get("/").text) is is_valid
    opened = Visitor(deployment=deployment).get(f"/sign-in?link={link}")
    assert opened.status_code == (200 if is_valid else 400)


# A link of the command line


def link_of(deployment: Deployment, *arguments: str) -> str:
    status, out, error = run_admin(dict(deployment.environ), "page-link", *arguments)
    assert status == 0, error
    url = urlsplit(out.strip())
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://keeper.test/sign-in"
    return parse_qs(url.query)["link"][0]


def test_checklist_72_link_signs_in_once_and_looking_at_it_uses_up_nothing(
    deploy: Deploy,
) -> None:
    deployment = deploy(API_KEYS=entry())
    link = link_of(deployment, "--key", "ci")
    visitor = Visitor(deployment=deployment)
    pages = [visitor.get(f"/sign-in?link={link}") for _ in range(2)]
    assert all("<code>ci</code>" in expect_page(page, has_form=True) for page in pages)
    assert visitor.press("Sign in", pages[1]).status_code == 303
    assert '<span class="quiet">ci</span>' in visitor.show("/")
    other = Visitor(deployment=deployment)
    assert "already used" in expect_page(other.post("/sign-in", link=link), 400)
    # Neither can take the place of the other.
    value = visitor.cookie.partition("=")[2]
    expect_page(other.post("/sign-in", link=value), 400)
    crossed = Visitor(deployment=deployment, cookie=f"__Host-session={link_of(deployment)}")
    assert "Your session has ended" in crossed.get("/").text


def test_checklist_72_link_ends_with_its_key(deploy: Deploy) -> None:
    link = link_of(deploy(API_KEYS=entry()), "--key", "ci")
    visitor = Visitor(deployment=deploy())
    expect_page(visitor.get(f"/sign-in?link={link}"), 400)
    expect_page(visitor.post("/sign-in", link=link), 400)
    expect_page(visitor.post("/sign-in", ("sec-fetch-site", "cross-site"), link=link), 400)


@pytest.mark.parametrize(
    ("changes", "arguments", "fault"),
    [
        ({"PUBLIC_URL": None}, (), "PUBLIC_URL is not set"),
        ({"API_KEYS": entry()}, ("--key", "cd"), "The names of the API keys: API_KEY, ci."),
        ({"API_KEYS": entry(expires="2020-01-01")}, ("--key", "ci"), "'ci' has expired"),
        (
            {"API_KEYS": entry()[:-1] + "," + entry("b", CI_KEY[::-1])[1:], "API_KEY": None},
            (),
            "ci, b",
        ),
    ],
    ids=["no address", "unknown key", "expired key", "several keys"],
)
def test_link_is_not_made_without_an_address_and_a_key(
    deploy: Deploy, changes: dict[str, str | None], arguments: tuple[str, ...], fault: str
) -> None:
    status, out, error = run_admin(dict(deploy(**changes).environ), "page-link", *arguments)
    assert (status, out) == (1, "")
    assert fault in error


def test_page_is_not_for_programs(deployment: Deployment) -> None:
    answer = deployment.call("POST", "/sign-in", FORM, content=b"key=wrong")
    expect_problem(answer, 401, "api-key-invalid")
    assert "To the first page" in expect_page(deployment.call("GET", "/nowhere", HTML), 404)
    assert buttons_of(deployment.call("GET", "/", HTML)) == set()
