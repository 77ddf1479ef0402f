"""FreshBooks: token requests are JSON, and each account and app has one valid refresh token.

Register: https://my.freshbooks.com/#/developer, an app with the redirect URI (https only) and its
    scopes.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 12 hours. The refresh token has no stated
    end.
Ends: A spent refresh token, or a login of the same account elsewhere.
Source: freshbooks/freshbooks-nodejs-sdk; Nango, Auth.js.
Unverified: The lifetimes, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider
from domain.wire_format import BodyFormat, WireFormat

PROVIDER = Provider(
    name="freshbooks",
    authorization_endpoint="https://auth.freshbooks.com/oauth/authorize",
    token_endpoint="https://api.freshbooks.com/auth/oauth/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    wire=WireFormat(token_request=BodyFormat.JSON),
)
