"""What a login is made of: its beginning, asked for with the API key, and its callback."""

from typing import assert_never

from domain.failures import classify
from domain.grant import Authorized, Failure, Moved, Revoked, Revoking
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from functions.access import require_api_key
from functions.logins import CompletedLogin, ExchangeFailedError, UnknownStateError
from functions.messages import Request, Response
from functions.pages import page
from functions.problems import ProblemError, problem
from functions.routes import Routes
from functions.wiring import Wired

_START_OVER = "start the login anew, with a new link: POST /api/login with the API key gives one"
# What a provider may say about an error is shown, but not at any length.
_LONGEST_QUOTE = 300


async def login(request: Request, wired: Wired) -> Response:
    """POST /api/login: where to send the browser. Raises ProblemError."""
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="login", now=now)
    begun = await wired.logins.begin(caller.connection)
    return Response.json(
        200,
        {
            "authorization_url": begun.authorization_url,
            "expires_in": int(begun.lifetime.total_seconds()),
        },
    )


async def callback(request: Request, wired: Wired) -> Response:
    """GET /api/callback: the provider sends the browser back (RFC 6749 §4.1.2).

    Raises ProblemError.
    """
    parameters = request.parameters
    state, code, error = (parameters.get(name) for name in ("state", "code", "error"))
    if not state:
        raise problem("invalid-state", f"the callback carries no state; {_START_OVER}")
    if bool(code) == bool(error):
        raise problem("invalid-request", "a callback carries either a code or an error")
    try:
        pending = await wired.logins.take(state)
    except UnknownStateError:
        raise problem(
            "invalid-state",
            "the state is unknown, has expired or was used before; if the login has just worked, "
            f"nothing is left to do, else {_START_OVER}",
        ) from None
    if not code:
        raise _refused(str(error), parameters.get("error_description"))
    try:
        completed = await wired.logins.complete(pending, code)
    except ExchangeFailedError as failed:
        raise _not_exchanged(failed.outcome) from failed
    if isinstance(completed.grant, Revoking | Revoked):
        raise problem(
            "invalid-state",
            "the connection was revoked while this login was being completed, and nothing of it is "
            f"kept; if it is to be used again, {_START_OVER}",
        )
    return _done(request, completed)


def _done(request: Request, completed: CompletedLogin) -> Response:
    advice = _advice(completed)
    if request.accepts_json_first():
        members = {"status": "authorized", "connection": completed.connection, "detail": advice}
        return Response.json(200, members)
    return page(200, "Logged in", f"Connection “{completed.connection}”: {advice}")


def _advice(completed: CompletedLogin) -> str:
    if not completed.is_new and isinstance(completed.grant, Moved):
        return (
            "it was handed over to another deployment, where the earlier login stays in force, "
            "because the provider issued no refresh token this time. Log in there instead."
        )
    if not completed.is_new:
        return (
            "the earlier login stays in force, because the provider issued no refresh token this "
            "time (or a later login has replaced this one already). If you meant to change the "
            "account, revoke the application at the provider first."
        )
    grant = completed.grant
    tokens = grant.tokens if isinstance(grant, Authorized) else None
    if tokens is not None and tokens.refresh_token is None and tokens.expires_at is not None:
        return (
            "the provider issued no refresh token, so this login ends with its access token. "
            "Many providers issue one if asked: see SCOPE and AUTHORIZATION_PARAMS."
        )
    return "the tokens are stored, and GET /api/token gives them out. You can close this window."


def _refused(error: str, description: str | None) -> ProblemError:
    quote = error if not description else f"{error}: {description}"
    return problem(
        "authorization-refused",
        f"the provider sent the browser back without a code ({quote[:_LONGEST_QUOTE]}); "
        f"{_START_OVER}",
    )


def _not_exchanged(outcome: TokenErrorResponse | NoAnswer) -> ProblemError:
    if classify(outcome) is Failure.UNAVAILABLE:
        return problem(
            "provider-unavailable", f"the provider cannot answer now; {_START_OVER}", retry_after=5
        )
    match outcome:
        case TokenErrorResponse(error=error, description=description, status=status):
            reason = ": ".join(part for part in (error, description) if part)
            return problem(
                "code-refused",
                f"the provider answered {status} ({reason or 'no reason given'}); check CLIENT_ID "
                f"and CLIENT_SECRET, then {_START_OVER}",
            )
        case NoAnswer(delivery=Delivery.NOT_SENT):
            detail = "the provider cannot be reached"
        case NoAnswer():
            detail = "the provider gave no answer that can be used"
        case _:
            assert_never(outcome)
    return problem("provider-unavailable", f"{detail}; {_START_OVER}", retry_after=5)


ROUTES: Routes = {
    # No HEAD here: it would use up the code and show nothing.
    "/api/callback": {"GET": callback},
    "/api/login": {"POST": login},
}
