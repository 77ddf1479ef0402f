"""The Vercel function of the page: `/`, `/sign-in`, `/sign-out`, and those of connections."""

from functions.application import Application
from functions.endpoints.page.routes import PAGES

app = Application(PAGES)
