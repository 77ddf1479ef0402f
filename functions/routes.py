"""Where requests go: paths and methods to endpoints."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.wiring import Wired

Endpoint: TypeAlias = Callable[[Request, Wired], Awaitable[Response]]
# By path, and by method.
Routes: TypeAlias = Mapping[str, Mapping[str, Endpoint]]

HEALTH = "/api/health"
CALLBACK = "/api/callback"
# OAuth 2.0 Form Post Response Mode: it would come without the cookie of the login's browser, too.
_NO_FORM = (
    "; the provider was asked to answer with a form: take response_mode=form_post out of "
    "AUTHORIZATION_PARAMS, and begin the login anew"
)
_PREFIX = (
    "; something stands before one of them here: have the proxy take it away, or tell the server "
    "of it (--root-path of uvicorn and Hypercorn)"
)
ALIVE = Response.json(200, {"status": "ok"})
"""What the endpoint for health answers."""


def find_endpoint(routes: Routes, request: Request) -> Endpoint:
    """Return what answers a request. Raises ProblemError."""
    methods = routes.get(request.path.rstrip("/"))
    if methods is None:
        detail = f"the endpoints are {', '.join(sorted(routes))}"
        raise problem("not-found", detail + (_PREFIX if _has_prefix(routes, request) else ""))
    allow = ("allow", ", ".join(sorted({*methods, "OPTIONS"})))

    async def tell_methods(_request: Request, _wired: Wired) -> Response:
        return Response(status=204, headers=(allow,))

    endpoint = {**methods, "OPTIONS": tell_methods}.get(request.method)
    if endpoint is None:
        detail = f"{request.method} is not among {allow[1]}"
        if (request.method, request.path.rstrip("/")) == ("POST", CALLBACK):
            detail += _NO_FORM
        raise problem("method-not-allowed", detail, headers=(allow,))
    return endpoint


def _has_prefix(routes: Routes, request: Request) -> bool:
    return any(request.path.rstrip("/").endswith(path) for path in routes)
