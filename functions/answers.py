"""What the keeper answers: tokens, or a problem that says why there are none, and what to do."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    LeaveAlone,
    PointElsewhere,
    Serve,
    TryLater,
    Wait,
)
from domain.grant import Cause, Failure
from domain.tokens import Tokens
from functions.problems import ProblemError, problem
from functions.standing import rfc3339

if TYPE_CHECKING:
    # Who has a token needs no link.
    from functions.login_links import LoginOffer

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
    Failure.NOT_SENT: "the provider cannot be reached",
    Failure.UNKNOWN: "the provider gave no answer that can be used",
    Failure.UNAVAILABLE: "the provider cannot answer now",
    Failure.UNEXPLAINED: (
        "the provider refused to refresh and did not say why; what is stored is kept"
    ),
    Failure.MISCONFIGURED: (
        "the provider refuses this client or its request: check CLIENT_ID, CLIENT_SECRET, "
        "PROVIDER and TOKEN_ENDPOINT_AUTH_METHOD; what is stored is kept"
    ),
    Failure.EXPIRED_ON_ARRIVAL: (
        "the access token that the provider issued had expired when it arrived"
    ),
}
# All others are the provider's absence.
_REFUSALS: Mapping[Failure, str] = {
    Failure.UNEXPLAINED: "refused-without-reason",
    Failure.MISCONFIGURED: "client-refused",
}


async def require_tokens(
    answer: Answer, now: datetime, *, offer: "Callable[[], Awaitable[LoginOffer]]"
) -> Tokens:
    """Return the tokens that somebody asked for; `offer` tells how to log in.

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
        case TryLater(at=at, failure=failure):
            wait = _seconds(at - now)
            raise problem(
                _REFUSALS.get(failure, "provider-unavailable"),
                f"{_FAILURES[failure]}; it is asked again in {wait} s",
                retry_after=wait,
            )
        case AskForAuthorization(cause=cause):
            login = await offer()
            raise problem(
                "authorization-required",
                why_and_how_to_log_in(cause, login),
                members={"cause": cause.value, "login": login.members},
            )
        case PointElsewhere(since=since):
            raise connection_moved(since)
        case LeaveAlone():
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


def why_and_how_to_log_in(cause: Cause, offer: "LoginOffer") -> str:
    """Say why a person has to log in, and where."""
    return f"{_CAUSES[cause]}; {offer.how}"


def _seconds(duration: timedelta) -> int:
    """Round up, so that who waits that long does not come too early (RFC 9110 §10.2.3)."""
    return max(1, ceil(duration.total_seconds()))
