"""The pages of a login in a real browser: on a phone and a desk, light, dark, without script."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import OpenVisit
from tests.browser.visits import DESK, PHONE, Visit, faults_of
from tests.system.local_server import LocalServer
from tests.system.loopback import http

SIMULATION = "/simulated-digikey/"

Way = Callable[[Visit, str], None]
"""How a person with a login link comes to a page."""


def login_link(server: LocalServer, connection: str) -> str:
    """Return a login link for a connection without a login."""
    answer = http.get(
        f"{server.address}/api/token?connection={connection}",
        headers={"x-api-key": server.api_key},
    )
    return str(answer.json()["login"]["link"])


def to_link(visitor: Visit, link: str) -> None:
    visitor.open(link)


def to_provider(visitor: Visit, link: str) -> None:
    visitor.open(link)
    visitor.press("Log in")


def to_login(visitor: Visit, link: str) -> None:
    to_provider(visitor, link)
    visitor.press("Allow")


def to_refusal(visitor: Visit, link: str) -> None:
    to_provider(visitor, link)
    visitor.press("Deny")


def to_used_link(visitor: Visit, link: str) -> None:
    to_login(visitor, link)
    to_provider(visitor, link)


def to_cut_link(visitor: Visit, link: str) -> None:
    visitor.open(link[:-8])


def to_first_steps(visitor: Visit, _link: str) -> None:
    visitor.open("/")


def to_simulation(visitor: Visit, link: str) -> None:
    to_login(visitor, link)
    visitor.open(SIMULATION)


PAGES: dict[str, tuple[Way, str]] = {
    "link": (to_link, "Log in at Digi-Key"),
    "provider": (to_provider, "Allow access to your simulated Digi-Key account?"),
    "login": (to_login, "Logged in"),
    "refusal": (to_refusal, "The provider refused the login"),
    "used-link": (to_used_link, "Invalid login link"),
    "cut-link": (to_cut_link, "Invalid login link"),
    "first-steps": (to_first_steps, "oauth-callback"),
    "simulation": (to_simulation, "A simulated Digi-Key"),
}
"""Each page of a login and of `make run`: the way to it, and how its heading begins."""


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_no_barrier_and_fits_a_phone_and_a_desk(
    visitor: Visit, server: LocalServer, page: str
) -> None:
    way, heading = PAGES[page]
    way(visitor, login_link(server, f"sound-{page}"))
    assert visitor.heading.startswith(heading)
    assert faults_of(visitor) == []


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESK, "light")])
def test_a_login_needs_no_script(
    open_visit: OpenVisit, server: LocalServer, width: int, scheme: str
) -> None:
    visitor = open_visit(width=width, scheme=scheme, has_script=False)
    connection = f"no-script-{scheme}"
    for way in (to_link, to_provider, to_login):
        way(visitor, login_link(server, connection))
        assert [*visitor.look().faults()] == []
    assert connection in visitor.text
    state = http.get(
        f"{server.address}/api/verify?connection={connection}",
        headers={"x-api-key": server.api_key},
    )
    assert state.json()["state"] == "fresh"


def test_a_login_needs_no_mouse(visitor: Visit, server: LocalServer) -> None:
    to_link(visitor, login_link(server, "keyboard"))
    assert [*visitor.tab_stops()] == ["Log in"]
    visitor.page.keyboard.press("Tab")
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    assert [*visitor.tab_stops()] == ["Allow", "Deny"]
    visitor.page.keyboard.press("Tab")
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    assert visitor.heading == "Logged in"
