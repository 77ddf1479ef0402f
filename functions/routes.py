"""Routes: the endpoint for each path and method."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.settings.client import CALLBACK_PATH
from functions.wiring import Wiring

Endpoint: TypeAlias = Callable[[Request, Wiring], Awaitable[Response]]
# By path, and by method.
Routes: TypeAlias = Mapping[str, Mapping[str, Endpoint]]

HEALTH = "/api/health"
TOKEN = "/api/token"
CALLBACK = CALLBACK_PATH
TOKEN_URL = "/api/oauth/token"
CONNECTION = "/connections/NAME"
"""The path of a connection's page."""
# RFC 8414 §3.
METADATA = "/.well-known/oauth-authorization-server"
# OAuth 2.0 Form Post Response Mode: the form would also lack the login's cookie.
_FORM_ADVICE = (
    " The provider sent the login as a form: remove response_mode=form_post from "
    "AUTHORIZATION_PARAMS and log in again."
)
_PREFIX_ADVICE = (
    " The path has a prefix: remove it in the proxy, or set --root-path (uvicorn, Hypercorn)."
)
HEALTHY = Response.json(200, {"status": "ok"})
"""The response of GET /api/health."""


def find_endpoint(routes: Routes, request: Request) -> Endpoint:
    """Return the endpoint of a request. Raises ProblemError."""
    path = path_of_endpoint(request.path)
    methods = routes.get(path)
    if methods is None:
        listed = ", ".join(path or "/" for path in sorted(routes))
        detail = f"No such endpoint; the endpoints are {listed}."
        raise problem(
            "not-found", detail + (_PREFIX_ADVICE if _has_prefix(routes, request) else "")
        )
    return methods.get(request.method) or _other_method(methods, request.method, path)


def _other_method(methods: Mapping[str, Endpoint], method: str, path: str) -> Endpoint:
    """Return the endpoint of OPTIONS. Raises ProblemError for another method."""
    allow = ("allow", ", ".join(sorted({*methods, "OPTIONS"})))

    async def list_methods(_request: Request, _wiring: Wiring) -> Response:
        return Response(status=204, headers=(allow,))

    if method == "OPTIONS":
        return list_methods
    detail = f"{method} is not allowed here; the methods are {allow[1]}."
    if (method, path) == ("POST", CALLBACK):
        detail += _FORM_ADVICE
    raise problem("method-not-allowed", detail, headers=(allow,))


def path_of_endpoint(path: str) -> str:
    """Return the path without a final slash, the client of a callback, and a connection's name."""
    plain = path.rstrip("/")
    if client_of_callback(plain) is not None:
        return CALLBACK
    if connection_in_path(plain) is not None:
        return "/".join([CONNECTION, *plain.split("/")[3:]])
    return plain


def connection_in_path(path: str) -> str | None:
    """Return the connection's name in the path of its page; None without one."""
    match path.split("/"):
        case ["", "connections", str(name), *_] if name:
            return name
        case _:
            return None


def client_of_callback(path: str) -> str | None:
    """Return the client's name in the path of a callback; None without one."""
    parent, _, name = path.rstrip("/").rpartition("/")
    return name if parent == CALLBACK else None


def _has_prefix(routes: Routes, request: Request) -> bool:
    return any(path and request.path.rstrip("/").endswith(path) for path in routes)
