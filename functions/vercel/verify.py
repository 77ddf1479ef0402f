"""The Vercel function of `/api/verify`: returns the status of a connection."""

from functions.application import Application
from functions.endpoints.verify import ROUTES

app = Application(ROUTES)
