"""Miele 3rd Party API: a realm of Keycloak.

Register: https://developer.miele.com, with the redirect URI.
Refresh token: Every login returns one.
Lifetimes: As in each response.
Ends: A revocation by the account.
Source: astrandb/pymiele, evcc, and eight other public clients.
Unverified: The lifetimes, PKCE, and whether a refresh replaces the refresh token. The preset
    expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="miele",
    authorization_endpoint="https://auth.domestic.miele-iot.com/partner/realms/mcs/protocol/openid-connect/auth",
    token_endpoint="https://auth.domestic.miele-iot.com/partner/realms/mcs/protocol/openid-connect/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
