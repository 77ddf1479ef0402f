"""Smartsheet: access for one account's sheets.

Register: https://app.smartsheet.com, Account, Developer Tools, an app with the redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `READ_SHEETS`.
Lifetimes: As in each response: an access token of about 7 days.
Ends: A spent refresh token, or a revocation by the account.
Source: Nango, Airbyte, openiddict.
Unverified: The lifetimes, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="smartsheet",
    authorization_endpoint="https://app.smartsheet.com/b/authorize",
    token_endpoint="https://api.smartsheet.com/2.0/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
