"""The page of connections in a real browser: each state, on a phone and a desk, light and dark."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import OpenVisit
from tests.browser.showcase import KEY, LONG, ONE_KEY
from tests.browser.visits import Visit, faults_of

Step = Callable[[Visit], None]


@pytest.fixture
def visitor(open_visit: OpenVisit, showcase: str) -> Visit:
    """A window at the form to sign in."""
    opened = open_visit(showcase)
    opened.open("/")
    return opened


def show(*paths: str, key: str = KEY) -> Step:
    """Return a step that signs in and opens paths, one after the other."""

    def step(visitor: Visit) -> None:
        visitor.sign_in(key)
        for path in paths:
            visitor.open(path)

    return step


def make_link(visitor: Visit) -> None:
    show("/connections/google:ada")(visitor)
    visitor.press("Copy a login link")


def open_snippets(visitor: Visit) -> None:
    show("/connections/digikey")(visitor)
    for summary in visitor.page.locator("summary").all():
        summary.click()


def sign_in_wrongly(visitor: Visit) -> None:
    visitor.sign_in("a-key-of-another-deployment")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        pytest.param(lambda _: None, "Sign in", id="sign-in"),
        pytest.param(sign_in_wrongly, "The API key is unknown", id="unknown-key"),
        pytest.param(show(), "2 need a person", id="list"),
        pytest.param(show(key=ONE_KEY), "No list", id="no-list"),
        pytest.param(show("/connections/digikey"), "Works", id="works"),
        pytest.param(show("/connections/google:ada"), "Login needed", id="login-needed"),
        pytest.param(show("/connections/books"), "Login due soon", id="login-due"),
        pytest.param(show("/connections/xero"), "Refresh fails for now", id="refresh-fails"),
        pytest.param(show("/connections/dropbox"), "Revoked", id="revoked"),
        pytest.param(show(f"/connections/{LONG}"), "q" * 300, id="long"),
        pytest.param(show(f"/connections/{LONG}/revoke"), "cannot be undone", id="revoke-long"),
        pytest.param(show("/connections/digikey/revoke"), "cannot be undone", id="revoke"),
        pytest.param(show("/connections/digikey", key=ONE_KEY), "not allowed", id="not-allowed"),
        pytest.param(make_link, "Send it to the person", id="login-link"),
        pytest.param(open_snippets, "grant type", id="snippets"),
    ],
)
def test_the_page_has_no_barrier_and_fits_a_phone_and_a_desk(
    visitor: Visit, step: Step, text: str
) -> None:
    step(visitor)
    assert text in visitor.text
    assert faults_of(visitor) == []
