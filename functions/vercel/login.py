"""The Vercel function of `/api/login`: starts a login, with an API key or a login link."""

from functions.application import Application
from functions.endpoints.login import ROUTES

app = Application(ROUTES)
