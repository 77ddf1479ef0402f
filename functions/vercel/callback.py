"""The function behind `/api/callback`: takes the browser that comes back from the provider."""

from functions.application import Application
from functions.login_endpoints import ROUTES

app = Application(ROUTES)
