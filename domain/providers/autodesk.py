"""Autodesk Platform Services: the refresh token is short-lived, so run the daily sweep.

Register: https://aps.autodesk.com/myapps, a traditional web app with the redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `data:read`.
Lifetimes: As in each response: an access token of about 60 minutes. The refresh token is valid for
    about 15 days.
Ends: About 15 days without a refresh, or a spent refresh token.
Source: Arctic 3, openiddict, simov/grant.
Unverified: The lifetimes (14 or 15 days), and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Provider

PROVIDER = Provider(
    name="autodesk",
    authorization_endpoint="https://developer.api.autodesk.com/authentication/v2/authorize",
    token_endpoint="https://developer.api.autodesk.com/authentication/v2/token",
    revocation_endpoint="https://developer.api.autodesk.com/authentication/v2/revoke",
    client_authentication=ClientAuthentication.BASIC,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
