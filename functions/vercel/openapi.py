"""The function behind `/api/openapi.json`: describes the HTTP interface."""

from functions.application import Application
from functions.endpoints.openapi import ROUTES

app = Application(ROUTES)
