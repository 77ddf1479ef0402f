"""What ends a connection."""

from collections.abc import Mapping

from domain.grant import Moved
from domain.token_endpoint import RevocationResult
from functions.access.gate import require_api_key
from functions.endpoints.answers import connection_moved
from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wired

_BY_HAND = "to end it there as well, its owner removes this application's access at the provider"
_DETAILS: Mapping[RevocationResult | None, str] = {
    None: "nobody is logged in to this connection: there was nothing to revoke",
    RevocationResult.REVOKED: "the provider has ended the tokens, and they are forgotten here",
    RevocationResult.NOT_SUPPORTED: (
        "the tokens are forgotten here; this provider has no way to be told (REVOCATION_ENDPOINT "
        f"is not set, or it refuses such tokens): {_BY_HAND}"
    ),
    RevocationResult.FAILED: (
        f"the tokens are forgotten here, but the provider did not confirm their end: {_BY_HAND}"
    ),
}


async def revoke(request: Request, wired: Wired) -> Response:
    """POST /api/revoke: end the connection, at the provider and here. Raises ProblemError."""
    keys, now = wired.settings.api_keys, wired.clock.now()
    connection = require_api_key(request, keys, endpoint="revoke", now=now).connection
    revoked = await wired.revocations.revoke(connection)
    if isinstance(revoked, Moved):
        raise connection_moved(revoked.since)
    result = revoked.result
    members = {
        "connection": connection,
        "forgotten": True,
        "revoked": "nothing" if result is None else result.value,
        "detail": _DETAILS[result],
    }
    return Response.json(200, members)


ROUTES: Routes = {"/api/revoke": {"POST": revoke}}
