"""What refreshes without a token being asked for: the sweep, and a request for one connection."""

from dataclasses import asdict

from functions.access import require_api_key, require_cron_secret
from functions.answers import require_tokens
from functions.messages import Request, Response
from functions.routes import Routes
from functions.standing import standing
from functions.wiring import Wired


async def sweep(request: Request, wired: Wired) -> Response:
    """GET /api/refresh: refresh what would die of disuse. Raises ProblemError."""
    require_cron_secret(request, wired.settings.cron_secret)
    return Response.json(200, asdict(await wired.sweep.run()))


async def refresh(request: Request, wired: Wired) -> Response:
    """POST /api/refresh: refresh one connection now. Raises ProblemError."""
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="refresh", now=now)
    answered = await wired.keeper.refresh(caller.connection)
    now = wired.clock.now()
    await require_tokens(answered.answer, now, offer=lambda read: wired.offer_login(caller, read))
    return Response.json(200, standing(answered.after, now))


ROUTES: Routes = {
    # No HEAD here: it would sweep and not tell what came of it.
    "/api/refresh": {"GET": sweep, "POST": refresh},
}
