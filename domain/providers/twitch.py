"""Twitch: tokens may end at any time, so let callers report a 401.

Register: https://dev.twitch.tv/console/apps, a confidential client with the redirect URI.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 4 hours. The refresh token has no stated
    end.
Ends: A new password, a disconnected app, or a revocation.
Source: https://dev.twitch.tv/docs/authentication/refresh-tokens; Auth.js, openiddict,
    chillerlan/php-oauth.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="twitch",
    issuer="https://id.twitch.tv/oauth2",
    authorization_endpoint="https://id.twitch.tv/oauth2/authorize",
    token_endpoint="https://id.twitch.tv/oauth2/token",
    revocation_endpoint="https://id.twitch.tv/oauth2/revoke",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
