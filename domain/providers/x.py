"""X (Twitter), OAuth 2.0: PKCE is required.

Register: https://developer.x.com, User authentication settings, a confidential client, with the
    redirect URI. `localhost` is refused, use 127.0.0.1.
Refresh token: `SCOPE` needs `offline.access`.
Lifetimes: Access token 2 hours. No lifetime of the refresh token is verified.
Ends: A spent refresh token, or a revocation by the account.
Source: https://docs.x.com, "OAuth 2.0" (xdevplatform/docs); golang.org/x/oauth2, Auth.js.
Unverified: That each refresh token works once, and the 6 months as its lifetime.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Provider

PROVIDER = Provider(
    name="x",
    authorization_endpoint="https://x.com/i/oauth2/authorize",
    token_endpoint="https://api.x.com/2/oauth2/token",
    revocation_endpoint="https://api.x.com/2/oauth2/revoke",
    client_authentication=ClientAuthentication.BASIC,
    access_token_lifetime=timedelta(hours=2),
    refresh_token_lifetime=None,
    required_settings=("SCOPE",),
)
