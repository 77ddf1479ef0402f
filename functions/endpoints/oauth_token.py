"""POST /api/oauth/token: a valid access token, for programs that have a token URL (RFC 6749)."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.connection import client_part, is_connection
from domain.scopes import missing_scopes
from domain.tokens import Tokens
from functions.access.gate import Caller, require_given_key
from functions.access.token_requests import TokenRequest, read_token_request
from functions.endpoints.answers import require_tokens
from functions.endpoints.token import min_ttl_of
from functions.http.connections import connection_of
from functions.http.messages import Request, Response
from functions.http.oauth_errors import NO_CACHE
from functions.http.problems import problem
from functions.routes import TOKEN_URL, Routes
from functions.settings.settings import Settings
from functions.wiring import Wiring

if TYPE_CHECKING:
    # Type-only import: the success path builds no login link.
    from functions.login.links import LoginOffer

# RFC 6749 §A.4.
_SCOPE = re.compile(r"[ !#-\[\]-~]*")
# Members with a meaning of their own, here or in clients. No member of a provider replaces them.
_MEANINGFUL = frozenset({"error", "error_description", "error_uri", "expires_at", "expires_in"})


async def oauth_token(request: Request, wiring: Wiring) -> Response:
    """POST /api/oauth/token: a valid access token.

    Raises ProblemError, MalformedRequestError. The application writes them as RFC 6749 §5.2 says.
    """
    asked = read_token_request(request)
    caller = _require_caller(request, asked, wiring)
    keeper = wiring.client_of(caller.connection).keeper
    answer = await keeper.token(caller.connection, min_ttl=min_ttl_of(request))
    now = wiring.clock.now()
    tokens = await require_tokens(answer, now, offer=lambda read: _offer(wiring, caller, read))
    _check_scope(asked.scope, tokens)
    return Response.json(200, _members(asked, tokens, now), headers=(NO_CACHE,))


def _require_caller(request: Request, asked: TokenRequest, wiring: Wiring) -> Caller:
    return require_given_key(
        asked.keys,
        wiring.settings.api_keys,
        endpoint="token",
        now=wiring.clock.now(),
        connection_of_key=lambda: _connection_of(request, asked, wiring.settings),
    )


def _connection_of(request: Request, asked: TokenRequest, settings: Settings) -> str:
    """Return the connection of the URL, or of the client id, or the default one."""
    connection = connection_of(request, extra_params=("min_ttl",), has_body=True)
    client_id = asked.client_id
    if "connection" in request.parameters or client_id is None:
        return connection
    return client_id if _is_known_connection(client_id, settings) else connection


def _is_known_connection(name: str, settings: Settings) -> bool:
    """Whether the settings name this connection. The store is not asked: a client id may be any."""
    listed = (key.connections or () for key in settings.api_keys)
    return is_connection(name) and (
        client_part(name) in settings.clients.entries or any(name in names for names in listed)
    )


async def _offer(wiring: Wiring, caller: Caller, read: int | None) -> "LoginOffer":
    # RFC 6749 §5.2 has no member for a link.
    return replace(await wiring.offer_login(caller, read), is_in_text=True)


def _check_scope(asked: str | None, tokens: Tokens) -> None:
    if asked is None:
        return
    if not _SCOPE.fullmatch(asked):
        what = "The parameter scope is malformed. Send names, separated by spaces."
    elif missing := missing_scopes(asked, tokens):
        what = (
            f"The scope {missing[0][:100]} was not granted to this connection. Leave out scope, or "
            "log in again with it."
        )
    else:
        return
    raise problem("invalid-request", what, oauth_error="invalid_scope")


def _members(asked: TokenRequest, tokens: Tokens, now: datetime) -> dict[str, object]:
    expires_at = tokens.access_token_expiry(now)
    life = {} if expires_at is None else {"expires_in": _whole_seconds(expires_at - now)}
    scope = {} if tokens.scope is None else {"scope": tokens.scope}
    return {
        # As members of the answer, as the provider itself sends them.
        **{name: value for name, value in tokens.extra if name not in _MEANINGFUL},
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        **life,
        **scope,
        **asked.echoed,
    }


def _whole_seconds(rest: timedelta) -> int:
    # Authlib and oauthlib take 0 for a token that never expires.
    return max(1, int(rest.total_seconds()))


ROUTES: Routes = {TOKEN_URL: {"POST": oauth_token}}
