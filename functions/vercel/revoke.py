"""The function behind `/api/revoke`: ends a connection, at the provider and here."""

from functions.application import Application
from functions.revoke_endpoints import ROUTES

app = Application(ROUTES)
