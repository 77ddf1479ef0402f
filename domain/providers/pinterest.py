"""Pinterest: refresh tokens are continuous since 2025.

Register: https://developers.pinterest.com/apps, with the redirect URI.
Refresh token: Every login returns one. For an app from before September 2025 set
    `CODE_PARAMS=continuous_refresh=true`.
Lifetimes: Access token 30 days. Refresh token 60 days from its issue.
Ends: 60 days without a refresh, or a revocation by the account.
Source: pinterest/api-quickstart (option -c); Nango.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="pinterest",
    authorization_endpoint="https://www.pinterest.com/oauth/",
    token_endpoint="https://api.pinterest.com/v5/oauth/token",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=timedelta(days=30),
    refresh_token_lifetime=timedelta(days=60),
)
