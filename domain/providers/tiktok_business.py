"""TikTok for Business (ads): JSON, its own names, and access tokens that do not expire.

Register: https://business-api.tiktok.com/portal, an app with the redirect URI. The client id is the
    app id.
Refresh token: None exists, and none is needed.
Lifetimes: The access token does not expire.
Ends: A revocation by the advertiser.
Source: tiktok/tiktok-business-api-sdk; Nango, Airbyte.
Unverified: That the access token does not expire.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider
from domain.wire_format import BodyFormat, WireFormat

PROVIDER = Provider(
    name="tiktok-business",
    authorization_endpoint="https://business-api.tiktok.com/portal/auth",
    token_endpoint="https://business-api.tiktok.com/open_api/v1.3/oauth2/access_token/",
    lifetime_members=(),
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    wire=WireFormat(
        authorization_names={"client_id": "app_id"},
        callback_code="auth_code",
        token_request=BodyFormat.JSON,
        token_request_names={"client_id": "app_id", "client_secret": "secret", "code": "auth_code"},
    ),
)
