"""GET /api/sweep, for a scheduler: refreshes idle connections before they expire."""

from dataclasses import asdict

from functions.access.gate import require_cron_secret
from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wiring


async def sweep(request: Request, wiring: Wiring) -> Response:
    """GET /api/sweep: refresh idle connections before they expire. Raises ProblemError."""
    require_cron_secret(request, wiring.settings.cron_secret)
    return Response.json(200, asdict(await wiring.sweep.run()))


# No HEAD: it would sweep and return no result.
ROUTES: Routes = {"/api/sweep": {"GET": sweep}}
