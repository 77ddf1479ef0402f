"""Charles Schwab Trader API: the login has to be repeated every 7 days.

Register: https://developer.schwab.com, an app with the redirect URI (https). A code is valid for 30
    seconds.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 30 minutes. Refresh token 7 days from the
    login, which no refresh extends.
Ends: 7 days after the login.
Source: alexgolec/schwab-py (auth.py, docs/auth.rst); Nango.
Unverified: The lifetime of the access token, and that a refresh returns the same refresh token. The
    preset expects a new one, without grace.
"""

from datetime import timedelta

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    LifetimeStart,
    Pkce,
    Provider,
)

PROVIDER = Provider(
    name="schwab",
    authorization_endpoint="https://api.schwabapi.com/v1/oauth/authorize",
    token_endpoint="https://api.schwabapi.com/v1/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=timedelta(days=7),
    refresh_token_counted=LifetimeStart.LOGIN,
)
