"""A browser as far as a login needs one: cookies, redirects, and forms filled in and sent."""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
from typing_extensions import override

from tests.patience import PATIENCE

USERNAME = "alice"
PASSWORD = "x"
"""The person who logs in. oidc-provider accepts any name, the Django peer only this one."""

_MOST_PAGES = 20
"""A login takes seven pages and redirects; one that takes more is going round in circles."""

_UNSEEN = {"style", "script"}


def log_in(
    authorization_url: str, *, redirect_uri: str, username: str = USERNAME
) -> httpx.Response:
    """Log in, consent, follow the redirect to the client, and return the client's answer.

    The URL may be a client's own, which leads to the authorization server by a form.

    Raises AssertionError, with the page's text, where the login gets stuck.
    """
    with _browser() as browser:
        return browser.get(_callback_url(browser, authorization_url, redirect_uri, username))


def authorize(authorization_url: str, *, redirect_uri: str) -> str:
    """Log in and consent; return the URL of the redirect to the client without getting it.

    Raises AssertionError, with the page's text, where the login gets stuck.
    """
    with _browser() as browser:
        return _callback_url(browser, authorization_url, redirect_uri)


def _browser() -> httpx.Client:
    return httpx.Client(
        headers={"Accept": "text/html, */*;q=0.8"},
        timeout=PATIENCE.total_seconds(),
        # The servers are on the loopback interface: no proxy, and no TLS. Loading the certificates
        # that nobody shows would take longer than the login.
        trust_env=False,
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )


def _callback_url(
    browser: httpx.Client, authorization_url: str, redirect_uri: str, username: str = USERNAME
) -> str:
    response = browser.get(authorization_url)
    for _ in range(_MOST_PAGES):
        if response.has_redirect_location:
            location = urljoin(str(response.url), response.headers["Location"])
            if location.startswith(redirect_uri):
                return location
            response = browser.get(location)
        else:
            response = _submit(browser, response, username)
    raise _stuck(response)


def _submit(browser: httpx.Client, response: httpx.Response, username: str) -> httpx.Response:
    page = _Page.parse(response.text)
    if response.is_error or page.form is None:
        raise _stuck(response)
    action = urljoin(str(response.url), page.form.action)
    return browser.post(action, data=page.form.filled_in(username))


def _stuck(response: httpx.Response) -> AssertionError:
    text = _Page.parse(response.text).text
    return AssertionError(f"stuck at {response.url}, status {response.status_code}: {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    action: str
    controls: list[dict[str, str]] = field(default_factory=list)

    def filled_in(self, username: str) -> dict[str, str]:
        """Return what pressing the last button sends: on both servers that one says yes."""
        typed = {"text": username, "password": PASSWORD}
        fields = {
            control["name"]: typed.get(control["type"], control["value"])
            for control in self.controls
            if control["type"] in {"hidden", *typed}
        }
        return fields | dict(self._buttons()[-1:])

    def _buttons(self) -> list[tuple[str, str]]:
        submits = (control for control in self.controls if control["type"] == "submit")
        return [(control["name"], control["value"]) for control in submits if control["name"]]


class _Page(HTMLParser):
    """The first form of a page, and the text that a person would see on it."""

    def __init__(self) -> None:
        super().__init__()
        self.form: _Form | None = None
        self._words: list[str] = []
        self._in_form = False
        self._hidden = False

    @classmethod
    def parse(cls, html: str) -> "_Page":
        page = cls()
        page.feed(html)
        page.close()
        return page

    @property
    def text(self) -> str:
        return " ".join(self._words)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = _Form(action=attributes.get("action", ""))
            self._in_form = True
        elif tag in {"input", "button"} and self.form and self._in_form:
            self.form.controls.append(_control(tag, attributes))
        elif tag in _UNSEEN:
            self._hidden = True

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        elif tag in _UNSEEN:
            self._hidden = False

    @override
    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words += data.split()


def _control(tag: str, attributes: dict[str, str]) -> dict[str, str]:
    default_type = "submit" if tag == "button" else "text"
    return {"name": "", "value": "", "type": default_type, **attributes}
