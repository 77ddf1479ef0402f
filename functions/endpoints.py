"""What programs ask for: a token, the standing of a connection, a sign of life."""

import re
from datetime import datetime, timedelta

from domain.events import DEFAULT_MIN_TTL
from domain.grant import Moved, place_of
from domain.questions import missing_authorization
from domain.tokens import Freshness, Tokens
from functions.access import require_api_key
from functions.answers import connection_moved, require_tokens, why_and_how_to_log_in
from functions.messages import Request, Response
from functions.problems import problem
from functions.routes import ALIVE, HEALTH, Routes
from functions.standing import (
    history,
    rfc3339,
    standing,
    verdict_of,
)
from functions.wiring import Wired

_MIN_TTL = re.compile(r"[0-9]{1,9}")


async def health(_request: Request, _wired: Wired) -> Response:
    """GET /api/health: alive."""
    return ALIVE


async def token(request: Request, wired: Wired) -> Response:
    """GET /api/token: an access token that works now. Raises ProblemError."""
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="token", now=now, beside=("min_ttl",))
    answer = await wired.keeper.token(caller.connection, min_ttl=_min_ttl(request))
    now = wired.clock.now()
    tokens = await require_tokens(answer, now, offer=lambda read: wired.offer_login(caller, read))
    return Response.json(200, _token_members(tokens, now))


async def verify(request: Request, wired: Wired) -> Response:
    """GET /api/verify: how the connection stands, by the store alone. Raises ProblemError."""
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="verify", now=now, beside=("history",))
    wants_history = _wants_history(request)
    record = await wired.keeper.load(caller.connection)
    now = wired.clock.now()
    members = standing(record.grant, now)
    if wants_history:
        members["history"] = history(record.ledger)
    if isinstance(record.grant, Moved):
        raise connection_moved(record.grant.since, members)
    cause = missing_authorization(record.grant, now)
    if cause is not None:
        login = await wired.offer_login(caller, place_of(record.grant))
        raise problem(
            "not-authorized",
            why_and_how_to_log_in(cause, login, said=verdict_of(record.grant)),
            members={**members, "login": login.members},
        )
    return Response.json(200 if members["state"] == Freshness.FRESH.value else 202, members)


def _wants_history(request: Request) -> bool:
    text = request.parameters.get("history", "0")
    if text not in {"0", "1"}:
        raise problem("invalid-request", "history is 1 or 0")
    return text == "1"


def _min_ttl(request: Request) -> timedelta:
    text = request.parameters.get("min_ttl")
    if text is None:
        return DEFAULT_MIN_TTL
    if not _MIN_TTL.fullmatch(text):
        raise problem("invalid-request", "min_ttl is a whole number of seconds")
    return timedelta(seconds=int(text))


def _token_members(tokens: Tokens, now: datetime) -> dict[str, object]:
    expires_at = tokens.ends_at(now)
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": None if expires_at is None else int((expires_at - now).total_seconds()),
        "expires_at": rfc3339(expires_at),
        "scope": tokens.scope,
    }


ROUTES: Routes = {
    HEALTH: {"GET": health, "HEAD": health},
    "/api/token": {"GET": token, "HEAD": token},
    "/api/verify": {"GET": verify, "HEAD": verify},
}
