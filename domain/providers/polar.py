"""Polar AccessLink: no refresh tokens.

Register: https://admin.polaraccesslink.com, a client with the redirect URI.
Refresh token: None exists, and none is needed.
Lifetimes: As in each response: an access token of years.
Ends: A deregistered account.
Source: scribejava.
Unverified: The client's authentication, the lifetime, and that there are no refresh tokens.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="polar",
    authorization_endpoint="https://flow.polar.com/oauth2/authorization",
    token_endpoint="https://polarremote.com/v2/oauth2/token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    response_members=("x_user_id",),
)
