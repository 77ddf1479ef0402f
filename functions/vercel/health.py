"""The function behind `/api/health`: is alive."""

from functions.application import Application
from functions.endpoints import ROUTES

app = Application(ROUTES)
