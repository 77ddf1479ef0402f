"""The Vercel function of `/api/revoke`: revokes a connection, at the provider and here."""

from functions.application import Application
from functions.endpoints.revoke import ROUTES

app = Application(ROUTES)
