"""The function behind `/api/token`: gives out a token that works now."""

from functions.application import Application
from functions.endpoints.token import ROUTES

app = Application(ROUTES)
