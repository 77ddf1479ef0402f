"""The HTTP interface, described for programs: the file that `infra/openapi.py` writes."""

from functools import cache
from pathlib import Path

from functions.http.messages import Request, Response
from functions.routes import Routes
from functions.wiring import Wiring

DOCUMENT = Path(__file__).with_name("openapi.json")


async def document(_request: Request, _wiring: Wiring) -> Response:
    """GET /api/openapi.json: what there is to ask, in OpenAPI 3.1."""
    return Response(status=200, body=_content())


@cache
def _content() -> bytes:
    return DOCUMENT.read_bytes()


ROUTES: Routes = {"/api/openapi.json": {"GET": document, "HEAD": document}}
