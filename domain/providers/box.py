"""Box: every refresh token works once.

Register: https://app.box.com/developers/console, a custom app with user authentication (OAuth 2.0)
    and the redirect URI.
Refresh token: Every login returns one.
Lifetimes: Access token 1 hour. Refresh token 60 days from its issue.
Ends: 60 days without a refresh, a spent refresh token, or a revocation by the account.
Source: https://developer.box.com/guides/authentication/tokens; box/box-openapi.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="box",
    authorization_endpoint="https://account.box.com/api/oauth2/authorize",
    token_endpoint="https://api.box.com/oauth2/token",
    revocation_endpoint="https://api.box.com/oauth2/revoke",
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(days=60),
)
