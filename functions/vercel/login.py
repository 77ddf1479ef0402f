"""The function behind `/api/login`: begins a login, by the API key or by a link."""

from functions.application import Application
from functions.endpoints.login import ROUTES

app = Application(ROUTES)
