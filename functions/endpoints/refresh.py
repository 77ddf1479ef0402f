"""POST /api/refresh: refresh one connection now."""

from functions.access.gate import require_api_key
from functions.endpoints.answers import require_tokens
from functions.endpoints.connection_members import connection_members
from functions.endpoints.sweep import sweep
from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wiring


async def refresh(request: Request, wiring: Wiring) -> Response:
    """POST /api/refresh: refresh one connection now. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    caller = require_api_key(request, keys, endpoint="refresh", now=now)
    client = wiring.client_of(caller.connection)
    result = await client.keeper.refresh(caller.connection)
    now = wiring.clock.now()
    await require_tokens(result.answer, now, offer=lambda read: wiring.offer_login(caller, read))
    members = connection_members(result.after, client.client.provider, now)
    return Response.json(200, members)


ROUTES: Routes = {
    # GET was the sweep's only path once, and schedules have it.
    "/api/refresh": {"GET": sweep, "POST": refresh},
}
