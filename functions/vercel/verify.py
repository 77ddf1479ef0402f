"""The function behind `/api/verify`: tells how the tokens stand."""

from functions.application import Application
from functions.endpoints import ROUTES

app = Application(ROUTES)
