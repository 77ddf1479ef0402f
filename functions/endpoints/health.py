"""GET /api/health: whether the application runs."""

from functions.http.messages import Request, Response
from functions.routes import HEALTH, HEALTHY, Routes
from functions.wiring import Wiring


async def health(_request: Request, _wiring: Wiring) -> Response:
    """GET /api/health: always 200, without reading the store."""
    return HEALTHY


ROUTES: Routes = {HEALTH: {"GET": health, "HEAD": health}}
