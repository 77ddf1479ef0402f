"""Figma: refreshes have an endpoint of their own.

Register: https://www.figma.com/developers/apps, an app with the redirect URI and its scopes.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 90 days. The refresh token has no stated
    end.
Ends: A revocation by the account.
Source: Nango (its refresh URL), Arctic 3, better-auth.
Unverified: The lifetimes.
"""

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    Provider,
    Rotation,
    RotationKind,
)
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="figma",
    authorization_endpoint="https://www.figma.com/oauth",
    token_endpoint="https://api.figma.com/v1/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    wire=WireFormat(refresh_endpoint="https://api.figma.com/v1/oauth/refresh"),
)
