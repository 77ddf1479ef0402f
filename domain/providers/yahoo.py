"""Yahoo: the refresh token is valid until the password changes.

Register: https://developer.yahoo.com/apps, a confidential client with the redirect URI (https
    only).
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 1 hour. The refresh token has no stated
    end.
Ends: A new password, or a revocation by the account.
Source: openiddict, golang.org/x/oauth2, social-core.
Unverified: The lifetimes, PKCE, the revocation, and whether a refresh replaces the refresh token.
    The preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="yahoo",
    issuer="https://api.login.yahoo.com",
    authorization_endpoint="https://api.login.yahoo.com/oauth2/request_auth",
    token_endpoint="https://api.login.yahoo.com/oauth2/get_token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
