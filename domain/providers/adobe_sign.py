"""Adobe Acrobat Sign: refreshes have an endpoint of their own.

Register: Acrobat Sign, Account, Acrobat Sign API, an application with the redirect URI.
    `ENDPOINT_VALUES=shard=na1` is the part of the account's host.
Refresh token: Every login returns one. `SCOPE` needs the scopes of the application.
Lifetimes: Access token 1 hour. Refresh token 60 days after its last use.
Ends: 60 days without use, or a revocation.
Source: https://opensource.adobe.com/acrobat-sign/developer_guide/oauth.html.
"""

from datetime import timedelta

from domain.provider import LifetimeStart, Pkce, Provider, Rotation, RotationKind
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="adobe-sign",
    authorization_endpoint="https://secure.{shard}.adobesign.com/public/oauth/v2",
    token_endpoint="https://api.{shard}.adobesign.com/oauth/v2/token",
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(days=60),
    refresh_token_counted=LifetimeStart.USE,
    placeholders={"shard": ()},
    callback_members=("api_access_point", "web_access_point"),
    wire=WireFormat(refresh_endpoint="https://api.{shard}.adobesign.com/oauth/v2/refresh"),
)
