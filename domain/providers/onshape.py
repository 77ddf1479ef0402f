"""Onshape: the refresh token lasts as long as the user's grant.

Register: https://dev-portal.onshape.com, OAuth applications, with the redirect URI.
Refresh token: Every login returns one.
Lifetimes: Access token 60 minutes. The refresh token does not expire.
Ends: A revocation by the account.
Source: https://onshape-public.github.io/docs/auth/oauth; aspnet-contrib.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="onshape",
    authorization_endpoint="https://oauth.onshape.com/oauth/authorize",
    token_endpoint="https://oauth.onshape.com/oauth/token",
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=timedelta(minutes=60),
    refresh_token_lifetime=None,
)
