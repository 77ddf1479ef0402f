"""Square, production: a refresh never replaces the refresh token.

Register: https://developer.squareup.com/apps, OAuth, production, with the redirect URI. The client
    id is the application id.
Refresh token: Every login returns one. `SCOPE` has the permissions, such as
    `MERCHANT_PROFILE_READ`.
Lifetimes: Access token 30 days. The refresh token does not expire.
Ends: A revocation by the merchant.
Source: https://developer.squareup.com/docs/oauth-api/overview; square/square-python-sdk (o_auth,
    obtain_token_response); Nango.
"""

from dataclasses import replace
from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind
from domain.wire_format import RevocationStyle, WireFormat


def square(host: str, *, name: str) -> Provider:
    """Return Square at one of its hosts.

    PKCE would make the client a public one, with other refresh tokens.
    """
    return Provider(
        name=name,
        authorization_endpoint=f"https://{host}/oauth2/authorize",
        token_endpoint=f"https://{host}/oauth2/token",
        revocation_endpoint=f"https://{host}/oauth2/revoke",
        lifetime_members=("expires_at",),
        pkce=Pkce.NONE,
        # The response has `expires_at`, and the same refresh token.
        rotation=Rotation(kind=RotationKind.NONE),
        access_token_lifetime=timedelta(days=30),
        refresh_token_lifetime=None,
        response_members=("merchant_id",),
        wire=WireFormat(revocation=RevocationStyle.CLIENT_HEADER),
    )


PROVIDER = replace(
    square("connect.squareup.com", name="square"),
    # A merchant that is logged in still has to log in, so that the right one consents.
    authorization_params=(("session", "false"),),
)
