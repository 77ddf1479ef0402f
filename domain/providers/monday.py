"""monday.com: access tokens that do not expire, and no refresh tokens.

Register: https://monday.com, Developer Center, an app with OAuth scopes and the redirect URI.
Refresh token: None exists, and none is needed.
Lifetimes: The access token does not expire.
Ends: An uninstalled app.
Source: Nango, Airbyte.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="monday",
    authorization_endpoint="https://auth.monday.com/oauth2/authorize",
    token_endpoint="https://auth.monday.com/oauth2/token",
    lifetime_members=(),
    pkce=Pkce.NONE,
    # If a refresh token comes after all, 5 minutes.
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
