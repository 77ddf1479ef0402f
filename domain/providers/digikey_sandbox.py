"""Digi-Key's sandbox. It has its own apps, client ids and secrets.

Register: https://developer.digikey.com, an app with the sandbox APIs and the redirect URI.
Refresh token: Every login returns one. There are no scopes.
Lifetimes: Access token 30 minutes, refresh token 90 days from its issue.
Ends: 90 days without a refresh, a spent refresh token, or a new client id or secret.
Source: https://developer.digikey.com/documentation, "OAuth 2.0 3-Legged Flow" and FAQ.
"""

from domain.providers.digikey import digikey

PROVIDER = digikey("sandbox-api.digikey.com", name="digikey-sandbox")
