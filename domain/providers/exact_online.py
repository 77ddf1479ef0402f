"""Exact Online: a refresh is refused until the access token is about to expire.

Register: https://apps.exactonline.com, an app with the redirect URI. `ENDPOINT_VALUES=country=nl`
    is the end of the site's host.
Refresh token: Every login returns one.
Lifetimes: Access token 10 minutes. The refresh token is valid for about 30 days.
Ends: About 30 days without a refresh, or a spent refresh token.
Source: Nango (its expiry buffer of 30 seconds), openiddict.
Unverified: The 30 days, that each refresh token works once, and the sites other than nl, be and
    co.uk.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="exact-online",
    authorization_endpoint="https://start.exactonline.{country}/api/oauth2/auth",
    token_endpoint="https://start.exactonline.{country}/api/oauth2/token",
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(minutes=10),
    refresh_token_lifetime=None,
    refresh_only_within=timedelta(seconds=30),
    placeholders={"country": ("nl", "be", "co.uk", "com", "de", "es", "fr")},
)
