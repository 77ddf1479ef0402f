"""GET /api/token: a valid access token."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from domain.serving import DEFAULT_MIN_TTL, Serve
from domain.tokens import Tokens
from functions.access.gate import Caller, require_api_key
from functions.http.instants import rfc3339
from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.refresh.keeper import Keeper, QuestionResult
from functions.routes import TOKEN, Routes
from functions.wiring import Wiring

if TYPE_CHECKING:
    # Type-only imports: the success path builds no login link, and knows one state only.
    from domain.grant import Grant
    from functions.login.links import LoginOffer

_NUMBER = r"[0-9]{1,9}"


async def token(request: Request, wiring: Wiring) -> Response:
    """GET /api/token: a valid access token. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    caller = require_api_key(
        request, keys, endpoint="token", now=now, extra_params=("min_ttl", "refused")
    )
    min_ttl, refused = min_ttl_of(request), _refused(request)
    keeper = wiring.client_of(caller.connection).keeper
    result = await keeper.ask(caller.connection, min_ttl=min_ttl, refused=refused)
    now = wiring.clock.now()
    tokens = await _tokens(result, now, _offer(wiring, caller, keeper, result.after))
    if request.prefers_text():
        from functions.http.plain_text import text_response

        return text_response(200, tokens.access_token)
    again_at = keeper.ask_again_at(result.after, min_ttl=min_ttl, now=now)
    return Response.json(200, _token_members(tokens, again_at, now))


async def _tokens(
    result: QuestionResult, now: datetime, offer: "Callable[[int | None], Awaitable[LoginOffer]]"
) -> Tokens:
    """Return the tokens of an answer. Raises ProblemError."""
    if isinstance(result.answer, Serve):
        return result.answer.tokens
    # Imported here, because most requests get a token.
    from functions.endpoints.answers import require_tokens

    return await require_tokens(result.answer, now, offer=offer)


def min_ttl_of(request: Request) -> timedelta:
    """Return the parameter `min_ttl`. Raises ProblemError."""
    seconds = _number(request, "min_ttl", "Use a whole number of seconds.")
    return DEFAULT_MIN_TTL if seconds is None else timedelta(seconds=seconds)


def _refused(request: Request) -> int | None:
    return _number(request, "refused", "Use the `generation` of the refused token.")


def _number(request: Request, name: str, advice: str) -> int | None:
    """Return a parameter of digits; None without it. Raises ProblemError."""
    text = request.parameters.get(name)
    if text is None:
        return None
    if not re.fullmatch(_NUMBER, text):
        raise problem("invalid-request", f"Invalid {name}. {advice}")
    return int(text)


def _offer(
    wiring: Wiring, caller: Caller, keeper: Keeper, grant: "Grant"
) -> "Callable[[int | None], Awaitable[LoginOffer]]":
    """Return what makes the ways to log in; a login link only if it would work."""

    async def offer(read: int | None) -> "LoginOffer":
        from domain.questions import missing_authorization

        found = await wiring.offer_login(caller, read)
        # A refused token that never expires, without a refresh token: to the rules, it works.
        works = missing_authorization(grant, wiring.clock.now(), keeper.grant_type) is None
        return replace(found, link=None) if works else found

    return offer


def _token_members(tokens: Tokens, again_at: datetime | None, now: datetime) -> dict[str, object]:
    expires_at = tokens.access_token_expiry(now)
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": None if expires_at is None else int((expires_at - now).total_seconds()),
        "expires_at": rfc3339(expires_at),
        "scope": tokens.scope,
        "generation": tokens.public_generation,
        "ask_again_in": None if again_at is None else _at_least_one(again_at - now),
        **({"extra": dict(tokens.extra)} if tokens.extra else {}),
    }


def _at_least_one(pause: timedelta) -> int:
    """Round up to whole seconds, so that the client does not ask too early."""
    return max(1, ceil(pause.total_seconds()))


ROUTES: Routes = {TOKEN: {"GET": token, "HEAD": token}}
