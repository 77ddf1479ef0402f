"""Xero: the tenant's id comes from an API, not with the tokens.

Register: https://developer.xero.com/app/manage, a web app with the redirect URI.
Refresh token: `SCOPE` needs `offline_access`.
Lifetimes: Access token 30 minutes. Refresh token 60 days from its issue.
Ends: 60 days without a refresh, or a disconnected app.
Source: XeroAPI/xero-node (README, Issuer.discover, revokeToken).
Unverified: A grace of 30 minutes, on which the preset does not rely. Set
    `ROTATION=always;grace=30m` if you know it to be true.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="xero",
    issuer="https://identity.xero.com",
    authorization_endpoint="https://login.xero.com/identity/connect/authorize",
    token_endpoint="https://identity.xero.com/connect/token",
    revocation_endpoint="https://identity.xero.com/connect/revocation",
    client_authentication=ClientAuthentication.BASIC,
    # A web app has a secret. PKCE is for apps without one.
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(minutes=30),
    refresh_token_lifetime=timedelta(days=60),
    required_settings=("SCOPE",),
)
