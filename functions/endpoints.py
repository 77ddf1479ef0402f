"""What programs ask for: a token, the standing of a connection, a sign of life."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from domain.commands import AskForAuthorization, LeaveAlone, Serve, TryLater, Wait
from domain.events import DEFAULT_MIN_TTL
from domain.grant import Cause, Failure
from domain.tokens import Freshness, Tokens
from functions.access import require_api_key
from functions.connections import DEFAULT_CONNECTION, connection_of
from functions.messages import Request, Response
from functions.problems import ProblemError, problem
from functions.standing import missing_authorization, rfc3339, standing
from functions.wiring import Wired

_MIN_TTL = re.compile(r"[0-9]{1,9}")
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
}
_FAILURES: Mapping[Failure, str] = {
    Failure.NOT_SENT: "the provider cannot be reached",
    Failure.UNKNOWN: "the provider did not answer",
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


async def health(_request: Request, _wired: Wired) -> Response:
    """GET /api/health: alive."""
    return Response.json(200, {"status": "ok"})


async def token(request: Request, wired: Wired) -> Response:
    """GET /api/token: an access token that works now. Raises ProblemError."""
    require_api_key(request, wired.settings.api_key)
    connection = connection_of(request)
    answer = await wired.keeper.token(connection, min_ttl=_min_ttl(request))
    now = wired.clock.now()
    match answer:
        case Serve(tokens=tokens):
            return Response.json(200, _token_members(tokens, now))
        case Wait(until=until):
            raise problem(
                "refresh-in-progress",
                "another request is refreshing this token, and the provider takes its time",
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
            raise _authorization_required(wired, connection, cause)
        case LeaveAlone():
            raise AssertionError("this answers the sweep only")
        case _:
            assert_never(answer)


async def verify(request: Request, wired: Wired) -> Response:
    """GET /api/verify: how the connection stands, by the store alone. Raises ProblemError."""
    require_api_key(request, wired.settings.api_key)
    connection = connection_of(request)
    record = await wired.keeper.load(connection)
    now = wired.clock.now()
    members = standing(record.grant, now)
    cause = missing_authorization(record.grant, now)
    if cause is not None:
        detail = _why_to_log_in_and_how(wired, connection, cause)
        raise problem("not-authorized", detail, members={"cause": cause.value, **members})
    return Response.json(200 if members["state"] == Freshness.FRESH.value else 202, members)


def _login_url(wired: Wired, connection: str) -> str:
    """Where to POST to begin a login; relative where the deployment's address is not known."""
    query = "" if connection == DEFAULT_CONNECTION else f"?connection={connection}"
    return f"{wired.settings.public_url or ''}/api/login{query}"


def _min_ttl(request: Request) -> timedelta:
    text = request.parameters.get("min_ttl")
    if text is None:
        return DEFAULT_MIN_TTL
    if not _MIN_TTL.fullmatch(text):
        raise problem("invalid-request", "min_ttl is a whole number of seconds")
    return timedelta(seconds=int(text))


def _authorization_required(wired: Wired, connection: str, cause: Cause) -> ProblemError:
    return problem(
        "authorization-required",
        _why_to_log_in_and_how(wired, connection, cause),
        members={
            "cause": cause.value,
            "login": {"method": "POST", "url": _login_url(wired, connection)},
        },
    )


def _why_to_log_in_and_how(wired: Wired, connection: str, cause: Cause) -> str:
    url = _login_url(wired, connection)
    how = f"to log in, POST to {url} with the API key and open the authorization_url it answers"
    return f"{_CAUSES[cause]}; {how}"


def _token_members(tokens: Tokens, now: datetime) -> dict[str, object]:
    expires_at = tokens.expires_at
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": None if expires_at is None else int((expires_at - now).total_seconds()),
        "expires_at": rfc3339(expires_at),
        "scope": tokens.scope,
    }


def _seconds(duration: timedelta) -> int:
    """Round up, so that who waits that long does not come too early (RFC 9110 §10.2.3)."""
    return max(1, ceil(duration.total_seconds()))
