"""Home Connect (BSH): at most 100 refreshes a day.

Register: https://developer.home-connect.com/applications, authorization code flow, with the
    redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `IdentifyAppliance Monitor`.
Lifetimes: As in each response: an access token of about 24 hours.
Ends: About 60 days without use, or a revocation by the account.
Source: Home Assistant (home_connect), and ten other public clients.
Unverified: The lifetimes, the limit, PKCE, and whether a refresh replaces the refresh token. The
    preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="home-connect",
    authorization_endpoint="https://api.home-connect.com/security/oauth/authorize",
    token_endpoint="https://api.home-connect.com/security/oauth/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
