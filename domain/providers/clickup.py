"""ClickUp: access tokens that do not expire, and no refresh tokens.

Register: ClickUp, Settings, Apps, an app with the redirect URI.
Refresh token: None exists, and none is needed.
Lifetimes: The access token does not expire.
Ends: A revocation by the account.
Source: Nango, Auth.js, amp-labs.
Unverified: That the access token does not expire.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="clickup",
    authorization_endpoint="https://app.clickup.com/api",
    token_endpoint="https://api.clickup.com/api/v2/oauth/token",
    lifetime_members=(),
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
