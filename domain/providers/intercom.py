"""Intercom: access tokens that do not expire, and no refresh tokens.

Register: https://app.intercom.com/a/apps/_/developer-hub, an app with the redirect URI (https
    only).
Refresh token: None exists, and none is needed.
Lifetimes: The access token does not expire.
Ends: An uninstalled app.
Source: Nango, Airbyte, goth.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="intercom",
    authorization_endpoint="https://app.intercom.com/oauth",
    token_endpoint="https://api.intercom.io/auth/eagle/token",
    lifetime_members=(),
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
