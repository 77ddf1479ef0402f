"""The sweep, for a scheduler: refreshes idle connections before they expire."""

from dataclasses import asdict

from functions.access.gate import require_cron_secret
from functions.http.messages import Request, Response
from functions.wiring import Wired


async def sweep(request: Request, wired: Wired) -> Response:
    """GET /api/refresh: refresh what would die of disuse. Raises ProblemError."""
    require_cron_secret(request, wired.settings.cron_secret)
    return Response.json(200, asdict(await wired.sweep.run()))
