"""GET /api/callback: the provider sends the browser back, and the login is completed."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from domain.authorization import AuthorizationResponse
from domain.grant import Revoked, Revoking
from functions.http.messages import Request, Response
from functions.http.pages import page
from functions.http.problems import ProblemError, problem
from functions.login.cookies import LoginCookies
from functions.login.results import (
    LOGIN_FAILURES,
    CompletedLogin,
    LoginFailure,
    RefusedError,
)
from functions.login.words import (
    START_OVER,
    advice,
    login_problem,
    quotation,
    with_quotation,
)
from functions.routes import CALLBACK, Routes
from functions.wiring import Wired

# Fetch Metadata's `Sec-Purpose`, and what there was before it.
_PURPOSES = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
_AHEAD = (b"prefetch", b"prerender", b"preview")

_log = logging.getLogger(__name__)


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
    cookies = LoginCookies(wired.settings.public_url)
    browser = cookies.recall(request, state)
    forget = () if browser is None else (cookies.forget(state),)
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


# No HEAD: it would use up the code and show nothing.
ROUTES: Routes = {CALLBACK: {"GET": callback}}
