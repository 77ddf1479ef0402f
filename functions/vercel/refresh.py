"""The Vercel function of `/api/refresh`: refreshes one connection now."""

from functions.application import Application
from functions.endpoints.refresh import ROUTES

app = Application(ROUTES)
