"""The keeper's answer as tokens, or as a problem with the reason why there are none."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    Serve,
    TryLater,
    Wait,
)
from domain.grant import Cause, Failure
from domain.tokens import Tokens
from functions.http.instants import rfc3339
from functions.http.problems import ProblemError, problem

if TYPE_CHECKING:
    # Type-only import: the success path builds no login link.
    from functions.login.links import LoginOffer

# A refresh usually ends long before its lease, so callers may retry early.
_LONGEST_RETRY_AFTER = timedelta(seconds=5)

_CAUSES: Mapping[Cause, str] = {
    Cause.NEVER_AUTHORIZED: "Nobody has logged in to this connection",
    Cause.REFRESH_TOKEN_MISSING: "The provider issued no refresh token at the last login",
    Cause.REFRESH_TOKEN_EXPIRED: "The refresh token has expired",
    Cause.REFRESH_TOKEN_REJECTED: "The provider no longer accepts the refresh token",
    Cause.REFRESH_ANSWER_LOST: (
        "The provider's answer to a refresh was lost, and the new refresh token with it"
    ),
    Cause.REVOKED: "The connection was revoked, and its tokens are deleted",
}
_FAILURES: Mapping[Failure, str] = {
    Failure.REFUSED: "The provider refuses the refresh token for now",
    Failure.NOT_SENT: "Cannot connect to the provider",
    Failure.UNKNOWN: "The provider gave no usable answer",
    Failure.UNAVAILABLE: "The provider is unavailable",
    Failure.UNEXPLAINED: "The provider refused the refresh",
    Failure.MISCONFIGURED: "The provider refuses this client or its request",
    Failure.EXPIRED_ON_ARRIVAL: "The provider issued an access token that had already expired",
}
_ADVICE: Mapping[Failure, str] = {
    Failure.REFUSED: "The current access token is served until it expires; ",
    Failure.UNEXPLAINED: "The stored tokens are kept; ",
    Failure.MISCONFIGURED: (
        "Check TOKEN_ENDPOINT, CLIENT_ID, CLIENT_SECRET or CLIENT_PRIVATE_KEY, PROVIDER and "
        "TOKEN_ENDPOINT_AUTH_METHOD; "
    ),
}
# Every other failure is `provider-unavailable`.
_REFUSALS: Mapping[Failure, str] = {
    Failure.REFUSED: "refused-for-now",
    Failure.UNEXPLAINED: "refused-without-reason",
    Failure.MISCONFIGURED: "client-refused",
}


async def require_tokens(
    answer: Answer, now: datetime, *, offer: "Callable[[int | None], Awaitable[LoginOffer]]"
) -> Tokens:
    """Return the tokens of an answer; `offer` makes the ways to log in.

    Raises ProblemError if there are none.
    """
    match answer:
        case Serve(tokens=tokens):
            return tokens
        case Wait(until=until):
            wait = _seconds(min(until - now, _LONGEST_RETRY_AFTER))
            detail = f"A refresh is in progress. Retry in {wait} s."
            raise problem("refresh-in-progress", detail, retry_after=wait)
        case TryLater():
            raise _try_later(answer, _seconds(answer.at - now))
        case RejectedAgain(at=at):
            wait = _seconds(at - now)
            detail = (
                "The API refused a token, and the token that replaced it: check its scope and the "
                f"account's permissions. The next refresh is possible in {wait} s."
            )
            raise problem("token-refused-again", detail, retry_after=wait)
        case AskForAuthorization(cause=cause, quote=quote, read=read):
            login = await offer(read)
            raise problem(
                "authorization-required",
                login_detail(cause, login, quote=quote),
                members={"cause": cause.value, "login": login.members},
            )
        case ReportMoved(since=since):
            raise connection_moved(since)
        case NothingDue():
            raise AssertionError("only the sweep gets this answer")
        case _:
            assert_never(answer)


def _try_later(answer: TryLater, wait: int) -> ProblemError:
    """Make the problem of a refresh that cannot begin for so many seconds."""
    failure, quote = answer.failure, answer.quote
    if failure is None:
        detail = (
            "The provider refuses a refresh until shortly before the access token expires. Until "
            f"then GET /api/token returns the current one. Retry in {wait} s."
        )
        return problem("refresh-too-early", detail, retry_after=wait)
    return problem(
        _REFUSALS.get(failure, "provider-unavailable"),
        f"{describe_failure(failure, quote)}. {_next_step(failure)} in {wait} s.",
        retry_after=wait,
    )


def connection_moved(
    since: datetime, members: Mapping[str, object] = MappingProxyType({})
) -> ProblemError:
    """Make the problem of a connection that was handed over; `members` are added."""
    return problem(
        "connection-moved",
        "This connection was handed over to another deployment. Ask that deployment, at its own "
        "address.",
        members={"moved_at": rfc3339(since), **members},
    )


def login_detail(cause: Cause, offer: "LoginOffer", *, quote: str | None = None) -> str:
    """Return the reason for a login, and how to log in; `quote` is the provider's answer."""
    return f"{describe_cause(cause, quote)}. {offer.how}"


def describe_cause(cause: Cause, quote: str | None) -> str:
    """Return why a person has to log in, without a full stop; `quote` is the provider's answer."""
    return f"{_CAUSES[cause]}{_quoted(quote)}"


def describe_failure(failure: Failure, quote: str | None) -> str:
    """Return how refreshes fail, without a full stop; `quote` is the provider's answer."""
    is_silent = failure is Failure.UNEXPLAINED and quote is None
    why = " and gave no reason" if is_silent else _quoted(quote)
    return f"{_FAILURES[failure]}{why}"


def _next_step(failure: Failure) -> str:
    advice = _ADVICE.get(failure)
    return f"{advice}next try" if advice else "Next try"


def _quoted(quote: str | None) -> str:
    if quote is None:
        return ""
    # The sentence around it has a full stop of its own. An ellipsis stays.
    is_ellipsis = quote.endswith("..")
    return f" ({quote if is_ellipsis else quote.removesuffix('.')})"


def _seconds(duration: timedelta) -> int:
    """Round up to whole seconds (RFC 9110 §10.2.3), at least 1."""
    return max(1, ceil(duration.total_seconds()))
