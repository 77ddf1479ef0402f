"""The whole application as one ASGI app, for any server."""

from functions import (
    document_endpoint,
    endpoints,
    login_endpoints,
    refresh_endpoints,
    revoke_endpoints,
)
from functions.application import Application
from functions.routes import Routes

ROUTES: Routes = {
    **endpoints.ROUTES,
    **login_endpoints.ROUTES,
    **refresh_endpoints.ROUTES,
    **revoke_endpoints.ROUTES,
    **document_endpoint.ROUTES,
}

app = Application(ROUTES)
