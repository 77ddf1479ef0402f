"""Strava: more than an hour before its end, a refresh returns the same access token.

Register: https://www.strava.com/settings/api, with the host of the redirect URI as the callback
    domain.
Refresh token: Every login returns one. `SCOPE` is separated by commas.
Lifetimes: Access token 6 hours. The refresh token has no stated end.
Ends: A newer refresh token, or a revocation by the account.
Source: https://developers.strava.com/docs/authentication, as quoted; stravalib, Airbyte.
Unverified: That a new refresh token ends the old one at once. The preset relies on no grace.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="strava",
    authorization_endpoint="https://www.strava.com/oauth/authorize",
    token_endpoint="https://www.strava.com/api/v3/oauth/token",
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=timedelta(hours=6),
    refresh_token_lifetime=None,
)
