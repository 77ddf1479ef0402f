"""The Vercel function of `/api/callback`: completes a login, and returns a page with the result."""

from functions.application import Application
from functions.endpoints.callback import ROUTES

app = Application(ROUTES)
