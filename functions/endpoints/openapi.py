"""GET /api/openapi.json: the HTTP interface, described for programs."""

from functools import cache

from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wiring


async def document(_request: Request, _wiring: Wiring) -> Response:
    """GET /api/openapi.json: the HTTP interface in OpenAPI 3.1."""
    return Response(status=200, body=_content())


@cache
def _content() -> bytes:
    from functions.endpoints.promises.document import text

    return text().encode()


ROUTES: Routes = {"/api/openapi.json": {"GET": document, "HEAD": document}}
