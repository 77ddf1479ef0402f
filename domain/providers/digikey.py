"""Digi-Key, production.

Register: https://developer.digikey.com, an app with the production APIs and the redirect URI.
Refresh token: Every login returns one. There are no scopes.
Lifetimes: Access token 30 minutes, refresh token 90 days from its issue.
Ends: 90 days without a refresh, a spent refresh token, or a new client id or secret.
Source: https://developer.digikey.com/documentation, "OAuth 2.0 3-Legged Flow" and FAQ.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider


def digikey(host: str, *, name: str) -> Provider:
    """Return Digi-Key at one of its hosts: one-time refresh tokens, no grace, no documented PKCE.

    Lifetimes, paths and errors as on developer.digikey.com, "OAuth 2.0 3-Legged Flow".
    """
    return Provider(
        name=name,
        authorization_endpoint=f"https://{host}/v1/oauth2/authorize",
        token_endpoint=f"https://{host}/v1/oauth2/token",
        pkce=Pkce.NONE,
        lifetime_members=("expires_in", "refresh_token_expires_in"),
        access_token_lifetime=timedelta(minutes=30),
        refresh_token_lifetime=timedelta(days=90),
        error_aliases={
            "invalid clientid": "invalid_client",
            "invalid client-id": "invalid_client",
        },
    )


PROVIDER = digikey("api.digikey.com", name="digikey")
