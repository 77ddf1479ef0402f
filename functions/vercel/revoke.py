"""The function behind `/api/revoke`: ends a connection, at the provider and here."""

from functions.application import Application
from functions.endpoints.revoke import ROUTES

app = Application(ROUTES)
