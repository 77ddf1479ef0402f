"""What becomes of a login, in words: of one that worked, and of each way to fail."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from domain.failures import classify
from domain.grant import Authorized, Failure, Moved
from domain.refusals import is_about_the_address, said_by
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from functions.http.problems import ProblemError, problem
from functions.login.results import (
    Account,
    BegunBeforeRevocationError,
    BeingCompletedError,
    CompletedLogin,
    ExchangeFailedError,
    LoginFailure,
    LoginNotNeededError,
    OtherAccountError,
    OtherBrowserError,
    OtherIssuerError,
    RefusedError,
    UnknownStateError,
)

START_OVER = (
    "start the login anew: POST /api/login with the API key gives a new authorization_url; who has "
    "come by a link asks for another one"
)
_REPLACE = "begin with POST /api/login?replace=true and the API key"
_REPLACED: Mapping[Account, str] = {
    Account.FIRST: "",
    Account.SAME: "the account is the same as before; ",
    Account.OTHER: "this is another account than before, and has taken its place; ",
    Account.NOT_TOLD: (
        "this login has replaced an earlier one, and the provider does not tell whether both are "
        "of the same account; "
    ),
}
# What a provider may say about an error is shown, but not at any length.
_LONGEST_QUOTE = 300


def quotation(parameters: Mapping[str, str]) -> str:
    """What a redirect says of an error, in a part that fits on a line; "" where it says none."""
    if not parameters.get("error"):
        return ""
    said = ": ".join(filter(None, map(parameters.get, ("error", "error_description"))))
    line = "".join(character if character.isprintable() else " " for character in said)
    return " ".join(line.split())[:_LONGEST_QUOTE]


def with_quotation(failed: ProblemError, said: str) -> ProblemError:
    """Add what a redirect says of an error, though nothing shows that it is the provider's."""
    if not said:
        return failed
    found = failed.problem
    detail = (
        f"{found.detail}. The callback brings the error “{said}”, and nothing shows that the "
        "provider has sent it"
    )
    logged = f"a callback of nobody's login ({found.name}) brings the error: {said}"
    return ProblemError(replace(found, detail=detail, logged=logged))


def advice(completed: CompletedLogin) -> str:
    """Say what the tokens are good for, and what to do next."""
    if completed.connection is None:
        return "this login was completed already. You can close this window."
    if not completed.is_new and isinstance(completed.grant, Moved):
        return (
            "it was handed over to another deployment, where the earlier login stays in force, "
            "because the provider issued no refresh token this time. Log in there instead."
        )
    if not completed.is_new:
        return (
            "the earlier login stays in force, because the provider issued no refresh token this "
            "time (or a later login has replaced this one already). If you meant to replace it, "
            f"{_REPLACE}."
        )
    replaced = _REPLACED[completed.account]
    grant = completed.grant
    tokens = grant.tokens if isinstance(grant, Authorized) else None
    if tokens is not None and tokens.refresh_token is None and tokens.expires_at is not None:
        return (
            f"{replaced}the provider issued no refresh token, so this login ends with its access "
            "token. Many providers issue one if asked: see SCOPE and AUTHORIZATION_PARAMS."
        )
    return (
        f"{replaced}the tokens are stored, and GET /api/token gives them out. You can close this "
        "window."
    )


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
        case BegunBeforeRevocationError():
            return problem(
                "invalid-state",
                "the connection was revoked after this login had begun, so nothing was made of "
                f"it; {START_OVER}",
            )
        case BeingCompletedError():
            return problem(
                "provider-unavailable",
                "this login is being completed, and the provider takes its time: load this page "
                "again",
                retry_after=5,
            )
        case LoginNotNeededError():
            return problem(
                "login-not-needed",
                f"this connection works, so nothing is left to do; to replace it, {_REPLACE}",
            )
        case OtherAccountError():
            return problem(
                "other-account",
                "another account logged in than before, or the provider did not say which one, "
                "and the earlier one works and stays in force; to change the account, "
                f"{_REPLACE}",
            )
        case RefusedError():
            return problem("authorization-refused", f"{_refusal(said)}; {START_OVER}")
        case ExchangeFailedError(outcome=outcome):
            return _not_exchanged(outcome)
        case _:
            assert_never(failed)


def _refusal(said: str) -> str:
    quoted = said[:_LONGEST_QUOTE]
    if said.startswith("access_denied"):
        return f"the person declined at the provider, or may not allow this ({quoted})"
    return f"the provider sent the browser back without a code ({quoted})"


def _not_exchanged(outcome: TokenErrorResponse | NoAnswer) -> ProblemError:
    said = said_by(outcome)
    match outcome:
        case TokenErrorResponse() if classify(outcome) is Failure.UNAVAILABLE:
            detail = "the provider cannot answer now"
        case TokenErrorResponse(status=status):
            check = (
                "TOKEN_ENDPOINT" if is_about_the_address(outcome) else "CLIENT_ID and CLIENT_SECRET"
            )
            return problem(
                "code-refused",
                f"the provider answered {status} ({said or 'no reason given'}); check {check}, "
                f"then {START_OVER}",
            )
        case NoAnswer(delivery=Delivery.NOT_SENT):
            detail = "the provider cannot be reached"
        case NoAnswer():
            detail = "the provider gave no answer that can be used"
        case _:
            assert_never(outcome)
    quoted = "" if said is None else f" ({said})"
    return problem("provider-unavailable", f"{detail}{quoted}; {START_OVER}", retry_after=5)
