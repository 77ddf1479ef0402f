"""A request of a signed-in browser: its session, and what its API key may see and do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TypeAlias
from urllib.parse import quote, urlencode

from domain.connection import is_connection
from functions.access.sessions import Session
from functions.endpoints.page.sign_in import ask_to_sign_in
from functions.http.messages import Request, Response
from functions.http.pages import LOGIN_TARGETS, Button, page_of, root_of
from functions.http.problems import problem
from functions.routes import Endpoint, connection_in_path
from functions.settings.api_keys import KeyedEndpoint
from functions.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request with its session."""

    request: Request
    wiring: Wiring
    session: Session

    def require(self, endpoint: KeyedEndpoint) -> None:
        """Raise ProblemError if the key is not for an endpoint."""
        if not self.session.may(endpoint):
            name = self.session.key.name
            raise problem(
                "key-not-allowed",
                f"The API key {name!r} is not allowed for {endpoint}. Sign in with another key.",
            )

    def connection(self, endpoint: KeyedEndpoint) -> str:
        """Return the connection in the path, if the key may use the endpoint for it.

        Raises ProblemError.
        """
        self.require(endpoint)
        name = connection_in_path(self.request.path) or ""
        if not is_connection(name):
            raise problem("not-found", "No connection can have this name. Check the address.")
        if not self.session.key.is_for(name):
            detail = f"The API key {self.session.key.name!r} is not allowed for this connection."
            raise problem("key-not-allowed", f"{detail} Sign in with another key.")
        return name

    def url(self, *parts: str, **parameters: str) -> str:
        """Return a relative URL of the page, below its first page."""
        path = "/".join(quote(part, safe="@:") for part in parts)
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"{root_of(self.request.path)}{path}{query}"

    def button(
        self,
        text: str,
        *parts: str,
        kind: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> Button:
        """Return a form with the session's token."""
        token = {"token": self.session.form_token, **(fields or {})}
        return Button(text=text, url=self.url(*parts), fields=token, kind=kind)

    def page(self, title: str, markup: str, *, script: str = "", footer: str = "") -> Response:
        """Return a page with the name of the key, and the button to sign out."""
        name = f'<span class="quiet">{escape(self.session.key.name)}</span>'
        sign_out = self.button("Sign out", "sign-out").markup()
        return page_of(
            title,
            markup,
            form_targets=LOGIN_TARGETS,
            script=script,
            corner=f'<div class="corner">{name}{sign_out}</div>',
            footer=footer,
        )


Show: TypeAlias = Callable[[Visit], Awaitable[Response]]


def signed_in(show: Show, *, is_form: bool = False) -> Endpoint:
    """Return the endpoint that requires a session, and for a form its token."""

    async def endpoint(request: Request, wiring: Wiring) -> Response:
        session = await wiring.sessions.of(request)
        if session is None:
            return ask_to_sign_in(request, wiring, is_form=is_form)
        if is_form:
            wiring.sessions.require_own_form(request, session)
        return await show(Visit(request=request, wiring=wiring, session=session))

    return endpoint
