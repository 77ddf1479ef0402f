"""Make.com API: access tokens are short-lived.

Register: https://developers.make.com, request an OAuth 2.0 client with the redirect URI.
Refresh token: Every login of a confidential client returns one.
Lifetimes: Access token 5 minutes. Refresh token 6 months from its issue.
Ends: 6 months without a refresh, or a revocation.
Source: https://developers.make.com/api-documentation/authentication/oauth-flow, its page "Token
    expiration", and its OpenID configuration.
Unverified: Whether a refresh replaces the refresh token. The preset expects a new one, without
    grace.
"""

from datetime import timedelta

from domain.provider import Provider

PROVIDER = Provider(
    name="make",
    issuer="https://www.make.com",
    authorization_endpoint="https://www.make.com/oauth/v2/authorize",
    token_endpoint="https://www.make.com/oauth/v2/token",
    revocation_endpoint="https://www.make.com/oauth/v2/revoke",
    access_token_lifetime=timedelta(minutes=5),
    # The shortest six months.
    refresh_token_lifetime=timedelta(days=181),
)
