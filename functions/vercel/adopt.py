"""The Vercel function of `/api/adopt`: adopts tokens that another program got."""

from functions.application import Application
from functions.endpoints.adopt import ROUTES

app = Application(ROUTES)
