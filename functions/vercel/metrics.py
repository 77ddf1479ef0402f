"""The Vercel function of `/api/metrics`: the state of all connections, for Prometheus."""

from functions.application import Application
from functions.endpoints.metrics import ROUTES

app = Application(ROUTES)
