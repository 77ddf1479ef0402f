"""Pipedrive: the response names the host of the API, `api_domain`.

Register: https://developers.pipedrive.com, Developer Hub, an app with the redirect URI and its
    scopes.
Refresh token: Every login returns one. Leave `SCOPE` unset: the app has the scopes.
Lifetimes: As in each response: an access token of about 1 hour.
Ends: A revocation by the account, or a long time without a refresh.
Source: pipedrive/client-nodejs; golang.org/x/oauth2, Nango.
Unverified: The lifetime of the access token, and 60 days without use as the end of the refresh
    token.
"""

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)

PROVIDER = Provider(
    name="pipedrive",
    authorization_endpoint="https://oauth.pipedrive.com/oauth/authorize",
    token_endpoint="https://oauth.pipedrive.com/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    response_members=("api_domain",),
)
