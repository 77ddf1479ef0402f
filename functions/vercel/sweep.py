"""The Vercel function of `/api/sweep`: refreshes idle connections before they expire."""

from functions.application import Application
from functions.endpoints.sweep import ROUTES

app = Application(ROUTES)
