"""The function behind `/api/callback`: takes the browser that comes back from the provider."""

from functions.application import Application
from functions.endpoints.callback import ROUTES

app = Application(ROUTES)
