"""Netatmo: weather stations and homes of one account.

Register: https://dev.netatmo.com/apps, with the redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `read_station`.
Lifetimes: As in each response: an access token of about 3 hours.
Ends: A spent refresh token, or a revocation by the account.
Source: jabesq/pyatmo, Home Assistant.
Unverified: The lifetimes, that each refresh token works once, and that a refresh ends the old
    access token. The preset refreshes late, as if it did.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="netatmo",
    authorization_endpoint="https://api.netatmo.com/oauth2/authorize",
    token_endpoint="https://api.netatmo.com/oauth2/token",
    pkce=Pkce.NONE,
    refresh_ends_access_token=True,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
