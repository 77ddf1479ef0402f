"""The texts of a login: for a completed one, and a problem for each way to fail.

A problem's `detail` is for a program's author, who has an API key; `on_page` is for a person in a
browser, who has none.
"""

from collections.abc import Mapping
from typing import assert_never

from domain.error_meanings import classify, is_wrong_endpoint, quote_of
from domain.grant import Authorized, Failure, Moved
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from functions.http.problems import ProblemError, problem
from functions.login.results import Account, CompletedLogin

START_OVER = "Start again with POST /api/login."
START_OVER_ON_PAGE = "Ask for a new login link."
_REPLACE = "use POST /api/login?replace=true"
_CLOSE = "You can close this window."
_REPLACED: Mapping[Account, str] = {
    Account.FIRST: "",
    Account.SAME: "The account is the same as before. ",
    Account.OTHER: "A different account has replaced the earlier one. ",
    Account.UNKNOWN: (
        "This login replaced an earlier one, and the provider does not say whether the account is "
        "the same. "
    ),
}
# A quotation from a redirect is cut to this length.
_LONGEST_QUOTE = 300


def error_of(parameters: Mapping[str, str]) -> str:
    """Return the `error` of a redirect and its description; "" without an error."""
    if not parameters.get("error"):
        return ""
    return ": ".join(filter(None, map(parameters.get, ("error", "error_description"))))


def on_one_line(quote: str) -> str:
    """Return the start of a text as one printable line."""
    line = "".join(character if character.isprintable() else " " for character in quote)
    return " ".join(line.split())[:_LONGEST_QUOTE]


def with_quotation(failed: ProblemError, quote: str) -> ProblemError:
    """Add the error of a redirect that may come from anybody; `quote` is on one line."""
    if not quote:
        return failed
    found = failed.problem
    quotation = f" The callback has the error “{quote}”; nothing shows that the provider sent it."
    return ProblemError(
        found._replace(
            detail=found.detail + quotation,
            on_page=found.on_page and found.on_page + quotation,
            logged=f"a callback that belongs to no login ({found.name}) has the error: {quote}",
        )
    )


def advice(completed: CompletedLogin, *, on_page: bool = False) -> str:
    """Return the effect of a completed login, and what to do next."""
    if completed.connection is None:
        return f"This login was already completed. {_CLOSE}"
    grant, replaced = completed.grant, _REPLACED[completed.account]
    if not completed.is_new and isinstance(grant, Moved):
        return (
            "The provider issued no refresh token, and this connection was handed over to another "
            "deployment. Log in there instead."
        )
    if not completed.is_new:
        kept = (
            "The earlier login stays in force, because the provider issued no refresh token this "
            "time, or a later login replaced this one."
        )
        return f"{kept} {_CLOSE if on_page else f'To replace it, {_REPLACE}.'}"
    tokens = grant.tokens if isinstance(grant, Authorized) else None
    if tokens is not None and tokens.refresh_token is None and tokens.expires_at is not None:
        return (
            f"{replaced}The provider issued no refresh token, so this login ends when the access "
            "token expires. Many providers issue one if asked: see SCOPE and AUTHORIZATION_PARAMS."
        )
    next_step = f". {_CLOSE}" if on_page else "; GET /api/token returns the access token."
    return f"{replaced}The tokens are stored{next_step}"


def unknown_state() -> ProblemError:
    """Make the problem of a state that is unknown, expired or used."""
    return problem(
        "invalid-state",
        "The state is unknown, expired or already used. If the login did not work, start again "
        "with POST /api/login.",
        on_page="This login has expired or was already completed. If it did not work, ask for a "
        "new login link.",
    )


def other_browser() -> ProblemError:
    """Make the problem of a redirect in a browser without the login's cookie."""
    what = "The login came back to a different browser, or this browser blocks cookies."
    return problem("other-browser", f"{what} {START_OVER}", on_page=f"{what} {START_OVER_ON_PAGE}")


def other_client() -> ProblemError:
    """Make the problem of a redirect to the callback of another client (RFC 9700 §4.4)."""
    what = "The login came back to the callback of a different client, so the code was not sent."
    return problem(
        "other-issuer",
        f"{what} Register each client's own redirect URI. {START_OVER}",
        on_page=f"{what} {START_OVER_ON_PAGE}",
    )


def other_issuer() -> ProblemError:
    """Make the problem of a redirect with a wrong or missing `iss` (RFC 9207)."""
    return problem(
        "other-issuer",
        f"The redirect's `iss` is missing, or names a different provider. {START_OVER}",
        on_page="The browser came back from a different provider than it was sent to. "
        f"{START_OVER_ON_PAGE}",
    )


def connection_revoked() -> ProblemError:
    """Make the problem of a login whose connection was revoked after it had started."""
    what = "The connection was revoked after this login started, so no token was stored."
    return problem("invalid-state", f"{what} {START_OVER}", on_page=f"{what} {START_OVER_ON_PAGE}")


def login_in_progress() -> ProblemError:
    """Make the problem of a redirect that another request still completes."""
    return problem(
        "provider-unavailable",
        "Another request is still completing this login. Retry in 5 s.",
        on_page="Another request is still completing this login. Reload this page in a few "
        "seconds.",
        retry_after=5,
    )


def login_not_needed() -> ProblemError:
    """Make the problem of a login by link for a connection that works."""
    return problem(
        "login-not-needed",
        f"This connection works and needs no login. To replace it, {_REPLACE}.",
        on_page=f"This connection works and needs no login. {_CLOSE}",
    )


def client_needs_no_login() -> ProblemError:
    """Make the problem of a login for a client that requests tokens by itself."""
    what = "This client needs no login"
    return problem(
        "login-not-needed",
        f"{what} (GRANT is client_credentials). GET /api/token returns an access token.",
        on_page=f"{what}. {_CLOSE}",
    )


def other_account() -> ProblemError:
    """Make the problem of a login that would replace the grant of another account."""
    what = (
        "A different account logged in, or the provider did not say which; the earlier login stays "
        "in force."
    )
    return problem(
        "other-account",
        f"{what} To change the account, {_REPLACE}.",
        on_page=f"{what} Log in with the earlier account, or ask for a login that changes it.",
    )


def login_refused(quote: str) -> ProblemError:
    """Make the problem of a redirect with an error; `quote` is the error."""
    declined = "The person declined at the provider, or may not allow this"
    no_code = "The provider returned an error instead of a code"
    why = declined if quote.startswith("access_denied") else no_code
    what = f"{why} ({quote[:_LONGEST_QUOTE]})."
    return problem(
        "authorization-refused",
        f"{what} {START_OVER}",
        on_page=f"{what} {START_OVER_ON_PAGE}",
        logged=f"login refused by the provider: {on_one_line(quote)}",
    )


def exchange_failed(outcome: TokenErrorResponse | NoAnswer) -> ProblemError:
    """Make the problem of a code for which the provider gave no tokens."""
    quote = quote_of(outcome)
    match outcome:
        case TokenErrorResponse() if classify(outcome) is Failure.UNAVAILABLE:
            what = "The provider is unavailable"
        case TokenErrorResponse(status=status):
            about_address = is_wrong_endpoint(outcome)
            credentials = "CLIENT_ID and CLIENT_SECRET or CLIENT_PRIVATE_KEY"
            check = "TOKEN_ENDPOINT" if about_address else credentials
            what = f"The provider refused the code ({status}: {quote or 'no reason given'})."
            return problem(
                "code-refused",
                f"{what} Check {check}, then start again with POST /api/login.",
                on_page=f"{what} Ask the operator to check {check}.",
            )
        case NoAnswer(delivery=Delivery.NOT_SENT):
            what = "Cannot connect to the provider"
        case NoAnswer():
            what = "The provider gave no usable answer"
        case _:
            assert_never(outcome)
    quoted = "" if quote is None else f" ({quote})"
    return problem(
        "provider-unavailable",
        f"{what}{quoted}. {START_OVER}",
        on_page=f"{what}{quoted}. {START_OVER_ON_PAGE}",
        retry_after=5,
    )
