"""Spotify: a response may omit the refresh token, and the old one stays valid.

Register: https://developer.spotify.com/dashboard, an app with the redirect URI. `localhost` is
    refused, use https or 127.0.0.1.
Refresh token: Every login returns one, with or without `SCOPE`.
Lifetimes: As in each response: an access token of about 1 hour. The refresh token has no stated
    end.
Ends: A revocation by the account.
Source: https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens; spotipy,
    Arctic.
Unverified: The lifetimes.
"""

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    Provider,
    Rotation,
    RotationKind,
)

PROVIDER = Provider(
    name="spotify",
    authorization_endpoint="https://accounts.spotify.com/authorize",
    token_endpoint="https://accounts.spotify.com/api/token",
    client_authentication=ClientAuthentication.BASIC,
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
