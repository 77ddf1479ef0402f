"""GET /api/token: a valid access token."""

import re
from datetime import datetime, timedelta

from domain.events import DEFAULT_MIN_TTL
from domain.tokens import Tokens
from functions.access.gate import require_api_key
from functions.endpoints.answers import require_tokens
from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.refresh.status import rfc3339
from functions.routes import Routes
from functions.wiring import Wiring

_MIN_TTL = re.compile(r"[0-9]{1,9}")


async def token(request: Request, wiring: Wiring) -> Response:
    """GET /api/token: a valid access token. Raises ProblemError."""
    keys, now = wiring.settings.api_keys, wiring.clock.now()
    caller = require_api_key(request, keys, endpoint="token", now=now, extra_params=("min_ttl",))
    keeper = wiring.client_of(caller.connection).keeper
    answer = await keeper.token(caller.connection, min_ttl=min_ttl_of(request))
    now = wiring.clock.now()
    tokens = await require_tokens(answer, now, offer=lambda read: wiring.offer_login(caller, read))
    return Response.json(200, _token_members(tokens, now))


def min_ttl_of(request: Request) -> timedelta:
    """Return the parameter `min_ttl`. Raises ProblemError."""
    text = request.parameters.get("min_ttl")
    if text is None:
        return DEFAULT_MIN_TTL
    if not _MIN_TTL.fullmatch(text):
        raise problem("invalid-request", "Invalid min_ttl. Use a whole number of seconds.")
    return timedelta(seconds=int(text))


def _token_members(tokens: Tokens, now: datetime) -> dict[str, object]:
    expires_at = tokens.access_token_expiry(now)
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": None if expires_at is None else int((expires_at - now).total_seconds()),
        "expires_at": rfc3339(expires_at),
        "scope": tokens.scope,
        **({"extra": dict(tokens.extra)} if tokens.extra else {}),
    }


ROUTES: Routes = {"/api/token": {"GET": token, "HEAD": token}}
