"""The checks of pages find what is planted."""

from typing import TYPE_CHECKING

from tests.browser.visits import Visit, faults_of, visit
from tests.system.local_server import LocalServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PLANTED = """<!doctype html><html lang="en"><title>Planted</title>
<style nonce="planted">p { color: #999; background: #fff } input { outline: none }
.wide { width: 700px; background: #fff }</style>
<main><h1>Planted</h1><p>Too pale.</p><input name="nameless"><p class="wide">Wide.</p>
<img alt="" src="https://elsewhere.example/pixel"><p style="color: #000">Inline.</p></main>"""
_POLICY = "default-src 'none'; style-src 'nonce-planted'; img-src *"


def test_planted_faults_are_found(browser: "Browser", server: LocalServer) -> None:
    with visit(browser, server.address) as visitor:
        _plant(visitor)
        faults = "\n".join(faults_of(visitor))
        assert "320 px, light: scrolls sideways: 7" in faults
        assert "320 px, light: outside of the window: p “Wide.”" in faults
        assert "320 px, light: lower than 44 px: input “nameless”" in faults
        assert "1280 px, dark: wider than 640 px: a text of " in faults
        assert "color-contrast" in faults
        assert "label" in faults
        assert [*visitor.tab_stops()] == ["nameless (the focus is not visible)"]
        assert visitor.others() == ["https://elsewhere.example/pixel"]
        assert "Content Security Policy" in "\n".join(visitor.complaints)


def _plant(visitor: Visit) -> None:
    visitor.page.route(
        "**/planted",
        lambda route: route.fulfill(
            body=_PLANTED,
            content_type="text/html",
            headers={"content-security-policy": _POLICY},
        ),
    )
    visitor.open("/planted")
