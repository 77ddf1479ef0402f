"""The Vercel function of `/api/health`: returns whether the application runs."""

from functions.application import Application
from functions.endpoints.health import ROUTES

app = Application(ROUTES)
