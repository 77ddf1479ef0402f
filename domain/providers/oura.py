"""Oura: access for one account's ring.

Register: https://cloud.ouraring.com/oauth/applications, with the redirect URI.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 24 hours.
Ends: A spent refresh token, or a revocation by the account.
Source: Nango, goth, the-momentum/open-wearables.
Unverified: The lifetimes, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="oura",
    authorization_endpoint="https://cloud.ouraring.com/oauth/authorize",
    token_endpoint="https://api.ouraring.com/oauth/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
