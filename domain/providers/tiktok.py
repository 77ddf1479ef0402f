"""TikTok (Login Kit, Content): the client id is called `client_key`.

Register: https://developers.tiktok.com, an app with the redirect URI (https only) and its products.
Refresh token: Every login returns one. `SCOPE` is separated by commas.
Lifetimes: Access token 24 hours. Refresh token 365 days from its issue.
Ends: 365 days without a refresh, or a revocation by the account.
Source: https://developers.tiktok.com, as quoted; chillerlan/php-oauth, Arctic, simov/grant.
Unverified: Whether a refresh replaces the refresh token. The preset expects a new one, without
    grace.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="tiktok",
    authorization_endpoint="https://www.tiktok.com/v2/auth/authorize/",
    token_endpoint="https://open.tiktokapis.com/v2/oauth/token/",
    lifetime_members=("expires_in", "refresh_expires_in"),
    # Its challenge is hexadecimal.
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(hours=24),
    refresh_token_lifetime=timedelta(days=365),
    response_members=("open_id",),
    wire=WireFormat(
        authorization_names={"client_id": "client_key"},
        token_request_names={"client_id": "client_key"},
    ),
)
