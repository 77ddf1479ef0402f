"""A person at the page of connections: signs in, logs in, refreshes, revokes and signs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from domain.page_session import SESSION_LIFETIME
from tests.browser.conftest import TITLE_FILE, OpenVisit
from tests.browser.showcase import KEY
from tests.browser.visits import DESK, PHONE, Visit, faults_of, visit
from tests.system.local_server import LocalServer
from tests.system.loopback import http
from tests.system.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def state_of(server: LocalServer, connection: str) -> dict[str, Any]:
    """Return what the API says about a connection."""
    answer = http.get(
        f"{server.address}/api/verify?connection={connection}",
        headers={"x-api-key": server.api_key},
    )
    members: dict[str, Any] = answer.json()
    return members


def sign_in(visitor: Visit, server: LocalServer, path: str = "/sign-in") -> None:
    visitor.open(path)
    visitor.sign_in(server.api_key)


def let_live(server: LocalServer, seconds: float) -> None:
    """Set the lifetime of the access tokens that the simulated Digi-Key issues from now on."""
    change = {"lifetimes": {"access_token": seconds}}
    answer = http.post(f"{server.address}/simulated-digikey/_control", json=change)
    assert answer.is_success, answer.text


def log_in(visitor: Visit) -> None:
    visitor.press("Log in")
    visitor.press("Allow")
    assert visitor.heading == "Logged in"


@pytest.mark.parametrize(
    ("width", "has_script"),
    [pytest.param(PHONE, False, id="phone-without-script"), pytest.param(DESK, True, id="desk")],
)
def test_a_person_does_everything_from_signing_in_to_signing_out(
    open_visit: OpenVisit, server: LocalServer, width: int, *, has_script: bool
) -> None:
    visitor, connection = open_visit(width=width, has_script=has_script), f"all-{width}"
    visitor.open("/")
    visitor.follow("Sign in")
    visitor.sign_in(server.api_key)
    assert visitor.heading == "Connections"

    visitor.open(f"/connections/{connection}")
    let_live(server, 2)
    log_in(visitor)
    let_live(server, 1800)
    visitor.follow("Back to the connection")
    assert "Works" in visitor.text
    # A valid token of the last ten seconds would stay.
    wait_until(lambda: state_of(server, connection)["state"] == "access-expired")
    visitor.press("Refresh now")
    assert "Refreshed" in visitor.text
    assert state_of(server, connection)["generation"] == 1
    visitor.page.reload()
    assert state_of(server, connection)["generation"] == 1

    visitor.follow("Revoke")
    assert visitor.heading == f"Revoke {connection}?"
    visitor.follow("Keep it")
    assert state_of(server, connection)["state"] == "fresh"
    visitor.follow("Revoke")
    visitor.press("Revoke")
    assert state_of(server, connection)["state"] == "revoked"
    assert "Revoked" in visitor.text
    visitor.follow("All connections")
    assert connection in visitor.text

    visitor.press("Sign out")
    assert visitor.heading == "Sign in"
    assert visitor.page.context.cookies() == []
    assert not [url for url in visitor.requests if server.api_key in url]


def test_the_back_button_shows_nothing_after_signing_out(
    visitor: Visit, server: LocalServer
) -> None:
    sign_in(visitor, server)
    visitor.open("/connections/hidden")
    visitor.press("Sign out")
    for _ in range(2):
        visitor.page.go_back()
        assert "Sign in" in visitor.text
        assert "Sign out" not in visitor.text
        assert "hidden" not in visitor.text


def test_a_session_needs_no_mouse(visitor: Visit, server: LocalServer) -> None:
    visitor.open("/connections/keys")
    visitor.page.get_by_label("API key").focus()
    visitor.page.keyboard.insert_text(server.api_key)
    enter(visitor)
    assert [*visitor.tab_stops()][:3] == ["Sign out", "All connections", "Log in"]
    for button in ("Log in", "Allow", "Back to the connection", "Refresh now"):
        tab_to(visitor, button)
        enter(visitor)
    assert "only a few seconds old" in visitor.text


def tab_to(visitor: Visit, name: str) -> None:
    """Press Tab until the element with this text has the focus."""
    assert name in visitor.tab_stops()


def enter(visitor: Visit) -> None:
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(
    open_visit: OpenVisit, showcase: str, server: LocalServer
) -> None:
    found = []
    for origin, key in ((showcase, KEY), (server.address, server.api_key)):
        visitor = open_visit(origin)
        visitor.open("/sign-in")
        visitor.sign_in(key)
        assert visitor.page.evaluate("document.cookie") == ""
        [cookie] = visitor.page.context.cookies()
        found.append(tuple(cookie[name] for name in ("name", "domain", "secure", "httpOnly")))
        assert (cookie["path"], cookie["sameSite"]) == ("/", "Lax")
        left = cookie["expires"] - visitor.page.evaluate("Date.now() / 1000")
        assert 0 < left <= SESSION_LIFETIME.total_seconds()
    # A domain without a dot: the cookie is for no other host. Without TLS it is for loopback only.
    assert found == [
        ("__Host-session", "keeper.example", True, True),
        ("session", "localhost", False, True),
    ]


def test_a_dead_cookie_leads_through_the_form_back_to_the_page(
    visitor: Visit, server: LocalServer
) -> None:
    sign_in(visitor, server)
    [cookie] = visitor.page.context.cookies()
    dead = cookie["value"][:-1] + "g"
    visitor.page.context.add_cookies([{"name": "session", "value": dead, "url": server.address}])
    visitor.open("/connections/again")
    assert "Your session has ended" in visitor.text
    visitor.sign_in(server.api_key)
    assert visitor.heading == "again"


def test_the_button_copies_the_login_link(visitor: Visit, server: LocalServer) -> None:
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(visitor, server)
    visitor.open("/connections/copied")
    visitor.press("Copy a login link")
    visitor.page.get_by_role("button", name="Copy", exact=True).click()
    visitor.page.get_by_text("Copied.").wait_for()
    copied = visitor.page.evaluate("navigator.clipboard.readText()")
    assert copied == visitor.page.get_by_label("Link").input_value()
    visitor.open(copied)
    assert visitor.heading.startswith("Log in at")


def test_a_button_sends_a_test_alert_to_each_channel(visitor: Visit, server: LocalServer) -> None:
    sign_in(visitor, server)
    visitor.press("Send a test alert")
    found = [" ".join(each.split()) for each in visitor.page.locator(".card").all_inner_texts()]
    assert found[0] == "desk Sent"
    assert found[1].startswith("broken Not sent ")
    assert (server.folder / TITLE_FILE).read_text()
    assert faults_of(visitor) == []
    visitor.follow("Back")
    assert visitor.heading == "Connections"


@contextmanager
def another_origin(page: str) -> Iterator[str]:
    """Serve a page at another port, which is the same site: `SameSite` does not stop its forms."""

    class OnePage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), OnePage) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://localhost:{running.server_port}"
        running.shutdown()


def test_another_origin_neither_sends_a_form_nor_frames_the_page(
    browser: "Browser", server: LocalServer
) -> None:
    target = f"{server.address}/connections/attacked"
    page = (
        f'<form method="post" action="{target}/revoke"><button>Win</button></form>'
        f'<iframe src="{target}"></iframe>'
    )
    with another_origin(page) as attacker, visit(browser, server.address) as visitor:
        sign_in(visitor, server)
        visitor.open("/connections/attacked")
        log_in(visitor)
        with visitor.page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            visitor.open(f"{attacker}/")
        framed = visitor.page.frame_locator("iframe")
        assert framed.get_by_role("heading", name="attacked").count() == 0
        visitor.press("Win")
        assert "Another site sent this form" in visitor.text
        assert state_of(server, "attacked")["state"] == "fresh"


def test_the_button_leads_to_a_provider_of_another_origin_and_back(
    browser: "Browser", showcase: str
) -> None:
    # A browser checks each redirect after a form by the page's policy.
    with visit(browser, showcase) as visitor:
        visitor.open("/connections/digikey:elsewhere")
        visitor.sign_in(KEY)
        log_in(visitor)
        [provider] = {*map(origin_of, visitor.others())}
        assert provider.startswith("http://127.0.0.1:")
        assert visitor.complaints == []


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
