"""The whole application as one ASGI app, for any server."""

from functions.application import Application
from functions.endpoints import (
    adopt,
    callback,
    connections,
    health,
    login,
    metrics,
    oauth_metadata,
    oauth_token,
    openapi,
    refresh,
    revoke,
    sweep,
    token,
    verify,
)
from functions.endpoints.page.routes import PAGES
from functions.routes import Routes

ROUTES: Routes = {
    **health.ROUTES,
    **token.ROUTES,
    **verify.ROUTES,
    **connections.ROUTES,
    **metrics.ROUTES,
    **callback.ROUTES,
    **login.ROUTES,
    **adopt.ROUTES,
    **refresh.ROUTES,
    **revoke.ROUTES,
    **sweep.ROUTES,
    **oauth_token.ROUTES,
    **oauth_metadata.ROUTES,
    **openapi.ROUTES,
}

ALL_ROUTES: Routes = {**ROUTES, **PAGES}
"""The endpoints for programs, which are in the OpenAPI document, and the page for people."""

app = Application(ALL_ROUTES)
