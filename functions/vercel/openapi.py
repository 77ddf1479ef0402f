"""The Vercel function of `/api/openapi.json`: returns the OpenAPI document."""

from functions.application import Application
from functions.endpoints.openapi import ROUTES

app = Application(ROUTES)
