"""A browser at the page of a deployment: its cookie, and the forms that it sends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode, urljoin

import httpx

from tests.functions.deployment import API_KEY, HTML, PUBLIC_URL, Deployment, Header
from tests.functions.expect import expect_page

FORM: Header = ("content-type", "application/x-www-form-urlencoded")
_FORMS = re.compile(
    r'<form method="post" action="([^"]*)">(.*?)<button[^>]*>([^<]*)</button></form>', re.DOTALL
)
_FIELDS = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@dataclass(slots=True, kw_only=True)
class Visitor:
    """A browser. It has no cookie before it signs in."""

    deployment: Deployment
    cookie: str = ""
    at: str = "/"

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        self.at = path
        return self.deployment.call("GET", path, HTML, *self._cookie())

    def post(self, path: str, *headers: Header, **fields: str) -> httpx.Response:
        """Send a form with these fields, as no page may have it."""
        content = urlencode(fields).encode()
        answer = self.deployment.call(
            "POST", path, FORM, HTML, *self._cookie(), *headers, content=content
        )
        if "set-cookie" in answer.headers:
            name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
            self.cookie = f"{name}={value}" if value else ""
        return answer

    def sign_in(self, key: str = API_KEY) -> "Visitor":
        """Sign in with an API key."""
        answer = self.post("/sign-in", key=key)
        assert answer.status_code == 303, answer.text
        assert self.cookie
        return self

    def press(self, button: str, page: httpx.Response, **fields: str) -> httpx.Response:
        """Press a button of a page that was opened; `fields` replace what it has."""
        forms = {
            unescape(text): (action, inner) for action, inner, text in _FORMS.findall(page.text)
        }
        action, inner = forms[button]
        path = urljoin(PUBLIC_URL + self.at, unescape(action)).removeprefix(PUBLIC_URL)
        return self.post(path, **{**_fields(inner), **fields})

    def follow(self, answer: httpx.Response, path: str) -> httpx.Response:
        """Follow the redirect of a form that was sent to `path`."""
        assert answer.status_code == 303, answer.text
        target = urljoin(PUBLIC_URL + path, answer.headers["location"])
        return self.get(target.removeprefix(PUBLIC_URL))

    def show(self, path: str, *, has_form: bool = True) -> str:
        """Open a page that is there, and return its text."""
        return expect_page(self.get(path), has_form=has_form)

    def _cookie(self) -> list[Header]:
        return [("cookie", self.cookie)] if self.cookie else []


def form_token_of(page: httpx.Response) -> str:
    """Return the token that the forms of a page have."""
    _, _, rest = page.text.partition('name="token" value="')
    return rest.partition('"')[0]


def buttons_of(page: httpx.Response) -> set[str]:
    """Return the texts of a page's buttons and of its links that look so."""
    links = re.findall(r'<a class="button[^"]*" href="[^"]*">([^<]*)</a>', page.text)
    return {*(unescape(text) for _, _, text in _FORMS.findall(page.text)), *links}


def _fields(inner: str) -> Mapping[str, str]:
    return {unescape(name): unescape(value) for name, value in _FIELDS.findall(inner)}
