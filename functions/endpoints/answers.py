"""What the keeper answers: tokens, or a problem that says why there are none, and what to do."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    NothingDue,
    ReportMoved,
    Serve,
    TryLater,
    Wait,
)
from domain.grant import Cause, Failure
from domain.tokens import Tokens
from functions.http.problems import ProblemError, problem
from functions.refresh.standing import rfc3339

if TYPE_CHECKING:
    # Who has a token needs no link.
    from functions.login.links import LoginOffer

# An attempt is over long before its lease as a rule; until then it pays to ask again.
_ASK_AGAIN_WITHIN = timedelta(seconds=5)

_CAUSES: Mapping[Cause, str] = {
    Cause.NEVER_AUTHORIZED: "nobody has logged in to this connection",
    Cause.REFRESH_TOKEN_MISSING: "the provider issued no refresh token at the last login",
    Cause.REFRESH_TOKEN_EXPIRED: "the refresh token has expired",
    Cause.REFRESH_TOKEN_REJECTED: "the provider no longer accepts the refresh token",
    Cause.REFRESH_ANSWER_LOST: (
        "the answer to a refresh was lost, and with it the refresh token that replaced this one"
    ),
    Cause.REVOKED: "the connection was revoked here, and its tokens are forgotten",
}
_FAILURES: Mapping[Failure, str] = {
    Failure.REFUSED: (
        "the provider refuses the refresh token, which may pass; the access token is served for "
        "what is left of it, and POST /api/refresh asks every five minutes"
    ),
    Failure.NOT_SENT: "the provider cannot be reached",
    Failure.UNKNOWN: "the provider gave no answer that can be used",
    Failure.UNAVAILABLE: "the provider cannot answer now",
    Failure.UNEXPLAINED: "the provider refused to refresh",
    Failure.MISCONFIGURED: "the provider refuses this client or its request",
    Failure.EXPIRED_ON_ARRIVAL: (
        "the access token that the provider issued had expired when it arrived"
    ),
}
_WHAT_TO_DO: Mapping[Failure, str] = {
    Failure.UNEXPLAINED: "; what is stored is kept",
    Failure.MISCONFIGURED: (
        ": check TOKEN_ENDPOINT, CLIENT_ID, CLIENT_SECRET, PROVIDER and "
        "TOKEN_ENDPOINT_AUTH_METHOD; what is stored is kept"
    ),
}
# All others are the provider's absence.
_REFUSALS: Mapping[Failure, str] = {
    Failure.REFUSED: "refused-for-now",
    Failure.UNEXPLAINED: "refused-without-reason",
    Failure.MISCONFIGURED: "client-refused",
}


async def require_tokens(
    answer: Answer, now: datetime, *, offer: "Callable[[int | None], Awaitable[LoginOffer]]"
) -> Tokens:
    """Return the tokens that somebody asked for; `offer` tells how to log in to what was read.

    Raises ProblemError that says why there are none.
    """
    match answer:
        case Serve(tokens=tokens):
            return tokens
        case Wait(until=until):
            raise problem(
                "refresh-in-progress",
                "this token is being refreshed, and the provider takes its time",
                retry_after=_seconds(min(until - now, _ASK_AGAIN_WITHIN)),
            )
        case TryLater(at=at, failure=failure, said=said):
            wait = _seconds(at - now)
            raise problem(
                _REFUSALS.get(failure, "provider-unavailable"),
                f"{_why_there_is_none(failure, said)}; it is asked again in {wait} s",
                retry_after=wait,
            )
        case AskForAuthorization(cause=cause, said=said, read=read):
            login = await offer(read)
            raise problem(
                "authorization-required",
                why_and_how_to_log_in(cause, login, said=said),
                members={"cause": cause.value, "login": login.members},
            )
        case ReportMoved(since=since):
            raise connection_moved(since)
        case NothingDue():
            raise AssertionError("this answers the sweep only")
        case _:
            assert_never(answer)


def connection_moved(
    since: datetime, members: Mapping[str, object] = MappingProxyType({})
) -> ProblemError:
    """Say that the grant was handed over, and what to do; `members` are told besides."""
    return problem(
        "connection-moved",
        "this connection was handed over to another deployment: ask that one, under its own "
        "address. Nothing is refreshed here any more; a login here would begin another grant",
        members={"moved_at": rfc3339(since), **members},
    )


def why_and_how_to_log_in(cause: Cause, offer: "LoginOffer", *, said: str | None = None) -> str:
    """Say why a person has to log in, and where; `said` quotes the provider."""
    return f"{_CAUSES[cause]}{_quoted(said)}; {offer.how}"


def _why_there_is_none(failure: Failure, said: str | None) -> str:
    is_silent = failure is Failure.UNEXPLAINED and said is None
    why = " and did not say why" if is_silent else _quoted(said)
    return f"{_FAILURES[failure]}{why}{_WHAT_TO_DO.get(failure, '')}"


def _quoted(said: str | None) -> str:
    return "" if said is None else f" ({said})"


def _seconds(duration: timedelta) -> int:
    """Round up, so that who waits that long does not come too early (RFC 9110 §10.2.3)."""
    return max(1, ceil(duration.total_seconds()))
