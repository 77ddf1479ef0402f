"""GET /api/callback: the provider redirects the browser here, which completes the login."""

import logging
from collections.abc import Collection, Sequence

from domain.authorization import AuthorizationResponse
from domain.extra import Extra, pick_members
from domain.grant import Revoked, Revoking
from functions.access.sessions import has_session_cookie
from functions.client_wiring import ClientWiring
from functions.http.messages import Request, Response
from functions.http.parameters import parse_members
from functions.http.problems import ProblemError, problem
from functions.login.cookies import LoginCookies
from functions.login.login_pages import Place, completed_page
from functions.login.login_texts import (
    START_OVER,
    START_OVER_ON_PAGE,
    advice,
    connection_revoked,
    error_of,
    on_one_line,
    with_quotation,
)
from functions.login.results import CompletedLogin
from functions.routes import CALLBACK, Routes, client_of_callback
from functions.settings.clients import UnknownClientError
from functions.wiring import Wiring

# `Sec-Purpose` of Fetch Metadata, and its predecessors.
_PURPOSE_HEADERS = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
_PREFETCHES = (b"prefetch", b"prerender", b"preview")

_log = logging.getLogger(__name__)


async def callback(request: Request, wiring: Wiring) -> Response:
    """GET /api/callback: complete a login (RFC 6749 §4.1.2).

    Raises ProblemError.
    """
    _refuse_prefetch(request)
    parameters = request.parameters
    state, error = parameters.get("state"), parameters.get("error")
    client = _client_of(request, wiring)
    code = _code(request, client.client.provider.callback_code)
    quote = error_of(parameters)
    quote_line = on_one_line(quote)
    if not state:
        what = "The callback has no state."
        missing = problem(
            "invalid-state", f"{what} {START_OVER}", on_page=f"{what} {START_OVER_ON_PAGE}"
        )
        raise with_quotation(missing, quote_line)
    if bool(code) == bool(error):
        raise with_quotation(_wrong_parts(code), quote_line)
    if client.logins.is_static(state):
        await wiring.limits.count_static_login(request)
    cookies = LoginCookies(wiring.settings.public_url)
    browser = cookies.recall(request, state)
    forget = () if browser is None else (cookies.forget(state),)
    names = client.client.provider.callback_members
    response = AuthorizationResponse(
        state=state,
        code=code,
        issuer=parameters.get("iss"),
        browser=browser,
        extra=_extra(request, names, {code, state}),
    )
    try:
        completed = await client.logins.complete(response, quote=quote)
    except ProblemError as failed:
        is_quoted = failed.problem.name == "authorization-refused"
        quoting = failed if is_quoted else with_quotation(failed, quote_line)
        raise _with_headers(quoting, forget) from failed
    _log_missing(names, response.extra)
    if isinstance(completed.grant, Revoking | Revoked):
        raise _with_headers(connection_revoked(), forget)
    if request.accepts_json_first():
        return _success_for_programs(completed, forget)
    place = Place(client=client.client, public_url=wiring.settings.public_url)
    is_signed_in = has_session_cookie(request, wiring.settings.public_url)
    return completed_page(completed, place, is_signed_in=is_signed_in, headers=forget)


def _client_of(request: Request, wiring: Wiring) -> ClientWiring:
    """Return the client that the path names. Raises ProblemError, SettingsError."""
    try:
        return wiring.client(client_of_callback(request.path))
    except UnknownClientError as error:
        raise problem(
            "not-found",
            f"This callback is of no client: {error}",
            on_page="This address belongs to no client of this deployment. Ask the operator to "
            "register the right redirect URI.",
        ) from error


def _code(request: Request, name: str) -> str | None:
    """Return the code, which some providers send under another name."""
    found = request.parameters if name == "code" else parse_members(request.query, (name,))
    return found.get(name)


def _refuse_prefetch(request: Request) -> None:
    """Refuse a prefetch: it must not use up the code."""
    purposes = (value for name in _PURPOSE_HEADERS for value in request.header_values(name))
    if any(word in purpose.lower() for purpose in purposes for word in _PREFETCHES):
        raise problem(
            "prefetch-refused",
            "This request is a prefetch. Open the page to complete the login.",
            retry_after=1,
        )


def _extra(request: Request, names: Sequence[str], secrets: Collection[str | None]) -> Extra:
    """Return the members of the redirect that the provider's API calls require."""
    return pick_members(names, parse_members(request.query, names).get, secrets=secrets)


def _log_missing(names: Sequence[str], extra: Extra) -> None:
    if missing := sorted(set(names) - dict(extra).keys()):
        _log.warning("the callback lacks a usable value of %s", ", ".join(missing))


def _wrong_parts(code: str | None) -> ProblemError:
    if code:
        what = "The callback has both a code and an error."
        return problem(
            "invalid-request", f"{what} {START_OVER}", on_page=f"{what} {START_OVER_ON_PAGE}"
        )
    return problem(
        "invalid-request",
        "The callback has neither a code nor an error. If the address has them after a #, set "
        "response_mode=query in AUTHORIZATION_PARAMS.",
    )


def _success_for_programs(
    completed: CompletedLogin, headers: tuple[tuple[str, str], ...]
) -> Response:
    members = {"status": "authorized", "detail": advice(completed)}
    named = {} if completed.connection is None else {"connection": completed.connection}
    return Response.json(200, members | named, headers=headers)


def _with_headers(error: ProblemError, headers: tuple[tuple[str, str], ...]) -> ProblemError:
    found = error.problem
    return ProblemError(found._replace(headers=(*found.headers, *headers)))


# No HEAD: it would use up the code and return nothing.
ROUTES: Routes = {CALLBACK: {"GET": callback}}
