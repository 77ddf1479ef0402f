"""The function behind `/api/verify`: tells how the tokens stand."""

from functions.application import Application
from functions.endpoints.verify import ROUTES

app = Application(ROUTES)
