"""Asana: the refresh token has no stated end.

Register: https://app.asana.com/0/my-apps, an app with the redirect URI.
Refresh token: Every login returns one. `SCOPE=default` where the app has full permissions.
Lifetimes: As in each response: an access token of about 1 hour.
Ends: A revocation by the account.
Source: Nango, simov/grant, golang.org/x/oauth2, openiddict.
Unverified: Lifetimes, PKCE, and whether a refresh replaces the refresh token: sources differ. The
    preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="asana",
    authorization_endpoint="https://app.asana.com/-/oauth_authorize",
    token_endpoint="https://app.asana.com/-/oauth_token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
