"""The function behind `/api/health`: is alive."""

from functions.application import Application
from functions.endpoints.health import ROUTES

app = Application(ROUTES)
