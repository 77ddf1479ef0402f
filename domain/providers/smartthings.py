"""SmartThings: access for one account's devices.

Register: The SmartThings command line, `smartthings apps:create`, an OAuth-In app with the redirect
    URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `r:devices:*`.
Lifetimes: As in each response: an access token of about 24 hours.
Ends: About 30 days without a refresh, a spent refresh token, or a revocation.
Source: Home Assistant (smartthings), and ten other public clients.
Unverified: The lifetimes, PKCE, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="smartthings",
    authorization_endpoint="https://api.smartthings.com/oauth/authorize",
    token_endpoint="https://auth-global.api.smartthings.com/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
