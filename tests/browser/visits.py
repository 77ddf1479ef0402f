"""A visit: one window of the browser, and what it found wrong with the pages that it showed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.browser.looks import LOOK, Look
from tests.needs import cannot_run, set_up
from tests.patience import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

PHONE, DESK = 320, 1280
"""Widths in pixels. 320 is a small phone, and 1,280 at a zoom of 400 % (WCAG 2.2, 1.4.10)."""

# The rules of a width and the colours of a scheme do not depend on each other.
_SHOWN: Sequence[tuple[int, Literal["light", "dark"]]] = ((PHONE, "light"), (DESK, "dark"))
_HEIGHT = 720
_AXE = Path(__file__).parent / "axe"
# Everything but experiments. Rules that stand for no criterion are habits worth having.
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# Chromium reports the status of an error page as a failure to load it.
_ERROR_PAGE = "Failed to load resource: the server responded with a status of 4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A window that shows pages of one origin.

    `requests` are the URLs that it requested, `complaints` what Chromium reported: violations of a
    page's policy, faults of scripts, and what it could not load.
    """

    page: "Page"
    origin: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Open a URL, or a path of the origin."""
        self.page.goto(url if "://" in url else self.origin + url)

    def press(self, name: str) -> None:
        """Press the one button with this name, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follow the one link with this name."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name, exact=True).click()

    def sign_in(self, key: str) -> None:
        """Sign in with an API key at the form that is shown."""
        self.page.get_by_label("API key").fill(key)
        self.press("Sign in")

    @property
    def heading(self) -> str:
        """The page's heading."""
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        """The text that a person sees."""
        return self.page.locator("body").inner_text()

    def show(self, *, width: int, scheme: Literal["light", "dark"]) -> None:
        """Show the same page at another width, in light or dark colours."""
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        self.page.emulate_media(color_scheme=scheme)

    def look(self) -> Look:
        """Return how the page looks at this width."""
        found: Mapping[str, Any] = self.page.evaluate(LOOK)
        return Look(**found)

    def barriers(self) -> list[str]:
        """Return what axe-core finds: the rule, and the elements that violate it."""
        if self.page.evaluate("() => typeof axe === 'undefined'"):
            self.page.evaluate(_axe())
        found = self.page.evaluate(
            "tags => axe.run({runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
            [*_RULES],
        )
        return [
            f"{rule['id']}: {rule['help']}: {', '.join(node['html'] for node in rule['nodes'])}"
            for rule in found["violations"]
        ]

    def tab_stops(self) -> Iterator[str]:
        """Press Tab once around the page. Yield the text of each element that has the focus."""
        for _ in range(self.page.locator("a, button, input, summary").count() + 1):
            self.page.keyboard.press("Tab")
            text = self.page.evaluate(_FOCUSED)
            if text is None:
                return
            yield text
        raise AssertionError("Tab does not leave the page")

    def others(self) -> list[str]:
        """Return the requests to other origins."""
        own = (self.origin + "/", "data:", "about:")
        return [url for url in self.requests if not url.startswith(own)]

    def note_console(self, message: "ConsoleMessage") -> None:
        """Note an error or a warning, unless it says that an error page is one."""
        is_error_page = message.text.startswith(_ERROR_PAGE) and message.location["url"] in {
            *self.requests
        }
        if message.type in {"error", "warning"} and not is_error_page:
            self.complaints.append(f"{message.type}: {message.text}")


# The text of the focused element, which must be seen to have the focus.
_FOCUSED = """() => {
    const element = document.activeElement;
    if (element === document.body) return null;
    const style = getComputedStyle(element);
    // The browser's own ring is `auto`, of two colours, so that it is seen on any ground.
    const own = style.outlineStyle === 'auto';
    const shown = own || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const name = element.innerText || element.labels?.[0]?.innerText || element.name;
    return shown ? name.trim() : `${name} (the focus is not visible)`;
}"""


@contextmanager
def visit(
    browser: "Browser",
    origin: str,
    *,
    width: int = DESK,
    scheme: Literal["light", "dark"] = "light",
    has_script: bool = True,
    **options: Any,
) -> Iterator[Visit]:
    """Open a window without cookies. Other options are Playwright's."""
    context = browser.new_context(
        viewport={"width": width, "height": _HEIGHT},
        color_scheme=scheme,
        java_script_enabled=has_script,
        # The showcase has a certificate that signs itself.
        ignore_https_errors=True,
        **options,
    )
    try:
        context.set_default_timeout(PATIENCE.total_seconds() * 1000)
        page = context.new_page()
        opened = Visit(page=page, origin=origin)
        context.on("request", lambda request: opened.requests.append(request.url))
        # Playwright keeps something at the owner of a method, which has slots.
        context.on("console", lambda message: opened.note_console(message))  # noqa: PLW0108
        context.on("weberror", lambda error: opened.complaints.append(str(error.error)))
        yield opened
    finally:
        context.close()


@cache
def _axe() -> str:
    """Return axe-core's program, which the policy of a page does not stop."""
    set_up("tests/browser/axe/node_modules/.stamp")
    program = _AXE / "node_modules/axe-core/axe.min.js"
    if not program.is_file():
        cannot_run(f"axe-core is not installed: npm ci --prefix {_AXE}")
    return program.read_text()


def faults_of(opened: Visit) -> Sequence[str]:
    """Return what is wrong with the page at both widths, in light and dark colours."""
    faults = list[str]()
    for width, scheme in _SHOWN:
        opened.show(width=width, scheme=scheme)
        found = [*opened.look().faults(), *opened.barriers()]
        faults += [f"{width} px, {scheme}: {fault}" for fault in found]
    return faults
