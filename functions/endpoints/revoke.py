"""POST /api/revoke: revoke a connection's tokens and delete them."""

from collections.abc import Mapping

from domain.grant import Moved
from domain.provider import GrantType
from domain.token_endpoint import RevocationResult
from functions.access.gate import require_api_key
from functions.endpoints.answers import connection_moved
from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wiring

_NO_TOKEN = "There was no access token to revoke."
_NEXT_TOKEN = "GET /api/token requests a new access token."
_BY_HAND = "Remove this application's access at the provider."
_DETAILS: Mapping[RevocationResult | None, str] = {
    None: "Nobody is logged in to this connection. There was nothing to revoke.",
    RevocationResult.REVOKED: "The provider revoked the tokens. They are deleted here.",
    RevocationResult.NOT_SUPPORTED: (
        "The tokens are deleted here, but this provider cannot revoke them (REVOCATION_ENDPOINT is "
        f"not set, or it refuses such tokens). {_BY_HAND}"
    ),
    RevocationResult.FAILED: (
        f"The tokens are deleted here, but the provider did not confirm the revocation. {_BY_HAND}"
    ),
}


async def revoke(request: Request, wiring: Wiring) -> Response:
    """POST /api/revoke: revoke at the provider, and delete here. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    connection = require_api_key(request, keys, endpoint="revoke", now=now).connection
    client = wiring.client_of(connection)
    result = await client.revocations.revoke(connection)
    if isinstance(result, Moved):
        raise connection_moved(result.since)
    members = {
        "connection": connection,
        "forgotten": True,
        "revoked": "nothing" if result is None else result.value,
        "detail": revocation_detail(result, client.keeper.grant_type),
    }
    return Response.json(200, members)


def revocation_detail(result: RevocationResult | None, grant_type: GrantType) -> str:
    """Return what a revocation did, for a person; None: there was no token."""
    if grant_type is GrantType.AUTHORIZATION_CODE:
        return _DETAILS[result]
    # Without a login there is nothing to end by hand.
    done = _NO_TOKEN if result is None else _DETAILS[result].removesuffix(f" {_BY_HAND}")
    return f"{done} {_NEXT_TOKEN}"


ROUTES: Routes = {"/api/revoke": {"POST": revoke}}
