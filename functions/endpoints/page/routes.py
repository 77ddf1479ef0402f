"""The routes of the page. Each imports its part when it is requested: programs do not need it."""

from functions.http.messages import Request, Response
from functions.routes import CONNECTION, Routes
from functions.wiring import Wiring


async def show_all(request: Request, wiring: Wiring) -> Response:
    """GET /: the connections, or the form to sign in. Raises ProblemError."""
    from functions.endpoints.page import list_page

    return await list_page.show(request, wiring)


async def show_sign_in(request: Request, wiring: Wiring) -> Response:
    """GET /sign-in: the form, or the page of a sign-in link. Raises ProblemError."""
    from functions.endpoints.page import sign_in

    return await sign_in.show(request, wiring)


async def sign_in(request: Request, wiring: Wiring) -> Response:
    """POST /sign-in: start a session. Raises ProblemError."""
    from functions.endpoints.page import sign_in

    return await sign_in.start(request, wiring)


async def sign_out(request: Request, wiring: Wiring) -> Response:
    """POST /sign-out: end the session. Raises ProblemError."""
    from functions.endpoints.page import sign_in

    return await sign_in.end(request, wiring)


async def show_one(request: Request, wiring: Wiring) -> Response:
    """GET /connections/NAME: one connection. Raises ProblemError."""
    from functions.endpoints.page import connection_page

    return await connection_page.show(request, wiring)


async def log_in(request: Request, wiring: Wiring) -> Response:
    """POST /connections/NAME/login: redirect to the provider. Raises ProblemError."""
    from functions.endpoints.page import actions

    return await actions.log_in(request, wiring)


async def make_link(request: Request, wiring: Wiring) -> Response:
    """POST /connections/NAME/login-link: a page with a login link. Raises ProblemError."""
    from functions.endpoints.page import actions

    return await actions.make_link(request, wiring)


async def refresh(request: Request, wiring: Wiring) -> Response:
    """POST /connections/NAME/refresh: refresh now. Raises ProblemError."""
    from functions.endpoints.page import actions

    return await actions.refresh(request, wiring)


async def ask_to_revoke(request: Request, wiring: Wiring) -> Response:
    """GET /connections/NAME/revoke: ask whether to revoke. Raises ProblemError."""
    from functions.endpoints.page import actions

    return await actions.ask_to_revoke(request, wiring)


async def revoke(request: Request, wiring: Wiring) -> Response:
    """POST /connections/NAME/revoke: revoke. Raises ProblemError."""
    from functions.endpoints.page import actions

    return await actions.revoke(request, wiring)


async def send_test_alert(request: Request, wiring: Wiring) -> Response:
    """POST /test-alert: send a test alert to each channel. Raises ProblemError."""
    from functions.endpoints.page import trial

    return await trial.send(request, wiring)


PAGES: Routes = {
    # GET /
    "": {"GET": show_all, "HEAD": show_all},
    "/sign-in": {"GET": show_sign_in, "HEAD": show_sign_in, "POST": sign_in},
    "/sign-out": {"POST": sign_out},
    "/test-alert": {"POST": send_test_alert},
    CONNECTION: {"GET": show_one, "HEAD": show_one},
    f"{CONNECTION}/login": {"POST": log_in},
    f"{CONNECTION}/login-link": {"POST": make_link},
    f"{CONNECTION}/refresh": {"POST": refresh},
    f"{CONNECTION}/revoke": {"GET": ask_to_revoke, "HEAD": ask_to_revoke, "POST": revoke},
}
"""The page's paths. They are for people, so that the OpenAPI document does not have them."""
