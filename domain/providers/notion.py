"""Notion: token requests are JSON, and no response has a lifetime.

Register: https://www.notion.so/my-integrations, a public integration with the redirect URI and its
    capabilities.
Refresh token: Integrations of today get one with every login. Older ones get access tokens that do
    not expire.
Lifetimes: Access token: assumed to be 5 minutes if there is a refresh token. Set
    `ACCESS_TOKEN_LIFETIME` if you know better.
Ends: A removed integration, or a spent refresh token.
Source: makenotion/notion-sdk-js (src/api-endpoints/oauth.ts); Nango, Airbyte.
Unverified: The lifetime of the access token, and that a refresh replaces the refresh token.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat

PROVIDER = Provider(
    name="notion",
    authorization_endpoint="https://api.notion.com/v1/oauth/authorize",
    token_endpoint="https://api.notion.com/v1/oauth/token",
    lifetime_members=(),
    revocation_endpoint="https://api.notion.com/v1/oauth/revoke",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    authorization_params=(("owner", "user"),),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    response_members=("workspace_id", "bot_id"),
    wire=WireFormat(token_request=BodyFormat.JSON, revocation=RevocationStyle.JSON),
)
