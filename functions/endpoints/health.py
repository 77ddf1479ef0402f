"""GET /api/health: a sign of life."""

from functions.http.messages import Request, Response
from functions.routes import HEALTH, HEALTHY, Routes
from functions.wiring import Wiring


async def health(_request: Request, _wiring: Wiring) -> Response:
    """GET /api/health: alive."""
    return HEALTHY


ROUTES: Routes = {HEALTH: {"GET": health, "HEAD": health}}
