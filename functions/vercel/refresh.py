"""The function behind `/api/refresh`: refreshes what is due, or what is asked for."""

from functions.application import Application
from functions.endpoints.refresh import ROUTES

app = Application(ROUTES)
