"""The function behind `/api/login`: begins a login."""

from functions.application import Application
from functions.login_endpoints import ROUTES

app = Application(ROUTES)
