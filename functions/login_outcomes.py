"""What becomes of a login, in words: of one that worked, and of each way to fail."""

from typing import assert_never

from domain.failures import classify
from domain.grant import Authorized, Failure
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from functions.logins import (
    CompletedLogin,
    ExchangeFailedError,
    LoginFailure,
    LoginNotNeededError,
    OtherBrowserError,
    OtherIssuerError,
    RefusedError,
    UnknownStateError,
)
from functions.problems import ProblemError, problem

START_OVER = "start the login anew: POST /api/login with the API key gives a new link"
# What a provider may say about an error is shown, but not at any length.
_LONGEST_QUOTE = 300


def advice(completed: CompletedLogin) -> str:
    """Say what the tokens are good for, and what to do next."""
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


def login_problem(failed: LoginFailure, *, said: str = "") -> ProblemError:
    """Say why a login failed; `said` is what the provider says in its redirect."""
    match failed:
        case UnknownStateError():
            return problem(
                "invalid-state",
                "the state is unknown, has expired or was used before; if the login has just "
                f"worked, nothing is left to do, else {START_OVER}",
            )
        case OtherBrowserError():
            return problem(
                "other-browser",
                "the login came back to another browser than it began in, or to one that keeps no "
                f"cookies, so nothing was made of it; {START_OVER}",
            )
        case OtherIssuerError():
            return problem(
                "other-issuer",
                "the browser did not come back from the provider that it was sent to (its `iss` "
                f"is missing, or of another one), so nothing was made of it; {START_OVER}",
            )
        case LoginNotNeededError():
            return problem(
                "login-not-needed",
                "this connection works, so nothing is left to do; to replace it, POST /api/login "
                "with the API key",
            )
        case RefusedError():
            return problem(
                "authorization-refused",
                f"the provider sent the browser back without a code ({said[:_LONGEST_QUOTE]}); "
                f"{START_OVER}",
            )
        case ExchangeFailedError(outcome=outcome):
            return _not_exchanged(outcome)
        case _:
            assert_never(failed)


def _not_exchanged(outcome: TokenErrorResponse | NoAnswer) -> ProblemError:
    if classify(outcome) is Failure.UNAVAILABLE:
        return problem(
            "provider-unavailable", f"the provider cannot answer now; {START_OVER}", retry_after=5
        )
    match outcome:
        case TokenErrorResponse(error=error, description=description, status=status):
            reason = ": ".join(part for part in (error, description) if part)
            return problem(
                "code-refused",
                f"the provider answered {status} ({reason or 'no reason given'}); check CLIENT_ID "
                f"and CLIENT_SECRET, then {START_OVER}",
            )
        case NoAnswer(delivery=Delivery.NOT_SENT):
            detail = "the provider cannot be reached"
        case NoAnswer():
            detail = "the provider gave no answer that can be used"
        case _:
            assert_never(outcome)
    return problem("provider-unavailable", f"{detail}; {START_OVER}", retry_after=5)
