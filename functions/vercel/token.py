"""The Vercel function of `/api/token`: returns a valid access token."""

from functions.application import Application
from functions.endpoints.token import ROUTES

app = Application(ROUTES)
