"""The Vercel function of the page: `/`, the sign-in, and the pages of connections."""

from functions.application import Application
from functions.endpoints.page.routes import PAGES

app = Application(PAGES)
