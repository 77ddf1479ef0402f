"""What a login is made of: its beginning, by the API key or by a link, and its callback."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from domain.authorization import AuthorizationResponse
from domain.grant import Revoked, Revoking
from functions.access import require_api_key
from functions.login_cookies import LoginCookies
from functions.login_messages import (
    START_OVER,
    advice,
    login_problem,
    quotation,
    with_quotation,
)
from functions.login_results import (
    LOGIN_FAILURES,
    CompletedLogin,
    LoginFailure,
    LoginNotNeededError,
    RefusedError,
)
from functions.messages import Request, Response
from functions.own_page import is_from_own_page
from functions.pages import Button, page
from functions.problems import ProblemError, problem
from functions.routes import CALLBACK, Routes
from functions.wiring import Wired

# Fetch Metadata's `Sec-Purpose`, and what there was before it.
_PURPOSES = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
_AHEAD = (b"prefetch", b"prerender", b"preview")

_log = logging.getLogger(__name__)


async def show_link(request: Request, wired: Wired) -> Response:
    """GET /api/login: a page whose button begins the login of a link. Raises ProblemError.

    Whoever only looks at it, as chat programs do for a preview, uses up nothing.
    """
    text = request.parameters.get("link")
    if not text:
        raise problem(
            "invalid-request", "a login begins by a link, or by POST /api/login with the API key"
        )
    link = await wired.links.read(text)
    return page(
        200,
        "Log in",
        f"Connection “{link.connection}” wants somebody to log in at its provider. This link is "
        "good for one login, to be finished in the browser that it is begun in.",
        button=Button(text="Log in", url=wired.links.login_url, fields={"link": text}),
    )


async def login(request: Request, wired: Wired) -> Response:
    """POST /api/login: where to send the browser, or its way there. Raises ProblemError."""
    if text := request.form().get("link"):
        _refuse_another_sites_button(request, wired.settings.public_url)
        return await _begin_by_link(text, wired)
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="login", now=now, beside=("replace",))
    begun = await wired.logins.begin(caller.connection, replaces=_replaces(request))
    return Response.json(
        200,
        {
            "authorization_url": begun.authorization_url,
            "expires_in": int(begun.lifetime.total_seconds()),
        },
    )


def _replaces(request: Request) -> bool:
    text = request.parameters.get("replace", "false")
    if text not in {"true", "false"}:
        raise problem("invalid-request", "replace is true or false")
    return text == "true"


def _refuse_another_sites_button(request: Request, public_url: str | None) -> None:
    """Have people see whose login it is: another page's form would send them on without a word.

    A provider that knows them may ask nothing either (RFC 6749 §10.12). Browsers tell where a form
    was, by its origin and by Fetch Metadata, even to pages that have them send no `Referer`.
    """
    if not is_from_own_page(request, public_url):
        raise problem(
            "invalid-link", "a login by a link begins on the link's own page: open it in a browser"
        )


async def _begin_by_link(text: str, wired: Wired) -> Response:
    try:
        begun = await wired.logins.begin_by_link(await wired.links.read(text))
    except LoginNotNeededError as failed:
        raise login_problem(failed) from failed
    cookie = _cookies(wired).remember(begun)
    return Response.redirect(begun.authorization_url, headers=(cookie,))


async def callback(request: Request, wired: Wired) -> Response:
    """GET /api/callback: the provider sends the browser back (RFC 6749 §4.1.2).

    Raises ProblemError.
    """
    _refuse_to_be_ahead(request)
    parameters = request.parameters
    state, code, error = (parameters.get(name) for name in ("state", "code", "error"))
    quoted = quotation(parameters)
    if not state:
        missing = problem("invalid-state", f"the callback carries no state; {START_OVER}")
        raise with_quotation(missing, quoted)
    if bool(code) == bool(error):
        raise with_quotation(problem("invalid-request", _both_or_neither(code)), quoted)
    if wired.logins.is_static(state):
        await wired.limits.admit(request)
    browser = _cookies(wired).recall(request, state)
    forget = () if browser is None else (_cookies(wired).forget(state),)
    response = AuthorizationResponse(
        state=state, code=code, issuer=parameters.get("iss"), browser=browser
    )
    try:
        completed = await wired.logins.complete(response)
    except LOGIN_FAILURES as failed:
        raise _with_headers(_why(failed, parameters), forget) from failed
    if isinstance(completed.grant, Revoking | Revoked):
        raise _with_headers(
            problem(
                "invalid-state",
                "the connection was revoked while this login was being completed, and nothing of "
                f"it is kept; if it is to be used again, {START_OVER}",
            ),
            forget,
        )
    return _done(request, completed, forget)


def _refuse_to_be_ahead(request: Request) -> None:
    """Use nothing up for a browser that only looks ahead: it is to come again with its person."""
    purposes = (value for name in _PURPOSES for value in request.header_values(name))
    if any(word in purpose.lower() for purpose in purposes for word in _AHEAD):
        raise problem(
            "prefetch-refused",
            "this request came ahead of a person, and a login is completed for the person only",
            retry_after=1,
        )


def _both_or_neither(code: str | None) -> str:
    if code:
        return "a callback carries either a code or an error, and this one carries both"
    return (
        "a callback carries either a code or an error, and this one carries neither; where the "
        "browser's address line has them behind a #, take response_mode out of "
        "AUTHORIZATION_PARAMS, or set response_mode=query there"
    )


def _why(failed: LoginFailure, parameters: Mapping[str, str]) -> ProblemError:
    quoted = quotation(parameters)
    if isinstance(failed, RefusedError):
        _log.warning("a login was refused at the provider: %s", quoted)
        said = ": ".join(filter(None, map(parameters.get, ("error", "error_description"))))
        return login_problem(failed, said=said)
    return with_quotation(login_problem(failed), quoted)


def _done(
    request: Request, completed: CompletedLogin, headers: tuple[tuple[str, str], ...]
) -> Response:
    detail = advice(completed)
    if request.accepts_json_first():
        members = {"status": "authorized", "connection": completed.connection, "detail": detail}
        told = {name: value for name, value in members.items() if value is not None}
        return Response.json(200, told, headers=headers)
    of_what = f"Connection “{completed.connection}”: " if completed.connection else ""
    return page(200, "Logged in", f"{of_what}{detail}", headers=headers)


def _with_headers(error: ProblemError, headers: tuple[tuple[str, str], ...]) -> ProblemError:
    found = error.problem
    return ProblemError(replace(found, headers=(*found.headers, *headers)))


def _cookies(wired: Wired) -> LoginCookies:
    return LoginCookies(wired.settings.public_url)


ROUTES: Routes = {
    # No HEAD here: it would use up the code and show nothing.
    CALLBACK: {"GET": callback},
    "/api/login": {"GET": show_link, "HEAD": show_link, "POST": login},
}
