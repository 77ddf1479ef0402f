"""Zoom: every refresh token works once.

Register: https://marketplace.zoom.us, a general app with the redirect URI, compared to the letter,
    and its scopes.
Refresh token: Every login returns one. Leave `SCOPE` unset: the app has the scopes.
Lifetimes: Access token 1 hour. Refresh token about 90 days from its issue, which Zoom may change.
Ends: About 90 days without a refresh, a spent refresh token, or a removed app.
Source: zoom/skills (skills/oauth/SKILL.md); golang.org/x/oauth2, Nango.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="zoom",
    authorization_endpoint="https://zoom.us/oauth/authorize",
    token_endpoint="https://zoom.us/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    # PKCE is for clients without a secret.
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(hours=1),
    # "Treat it as changeable", in the same repository.
    refresh_token_lifetime=None,
)
