"""The function behind `/api/openapi.json`: tells programs what there is to ask."""

from functions.application import Application
from functions.endpoints.openapi import ROUTES

app = Application(ROUTES)
