"""The Vercel function of `/api/connections`: lists connections with their status."""

from functions.application import Application
from functions.endpoints.connections import ROUTES

app = Application(ROUTES)
