"""Withings: the tokens are in the member `body` of the response.

Register: https://developer.withings.com/dashboard, an app with the redirect URI. A code is valid
    for 30 seconds.
Refresh token: Every login returns one. `SCOPE` is separated by commas.
Lifetimes: Access token 3 hours. Refresh token 1 year from its issue.
Ends: A year without a refresh, or a spent refresh token, 8 hours later or once the new access token
    was used.
Source: https://developer.withings.com, "Access and refresh tokens"; Home Assistant, Arctic,
    simov/grant.
Unverified: PKCE, and the numbers of its errors.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="withings",
    authorization_endpoint="https://account.withings.com/oauth2_user/authorize2",
    token_endpoint="https://wbsapi.withings.net/v2/oauth2",
    pkce=Pkce.NONE,
    token_params=(("action", "requesttoken"),),
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(hours=8), until_used=True),
    access_token_lifetime=timedelta(hours=3),
    refresh_token_lifetime=timedelta(days=365),
    response_members=("userid",),
)
