"""The Vercel function of `/api/oauth/token`, and of the metadata about it."""

from functions.application import Application
from functions.endpoints import oauth_metadata, oauth_token

app = Application({**oauth_token.ROUTES, **oauth_metadata.ROUTES})
