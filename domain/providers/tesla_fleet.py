"""Tesla Fleet API: the exchange of the code names the API as its audience.

Register: https://developer.tesla.com, an app with the redirect URI. `ENDPOINT_VALUES=region=eu` is
    the region of the account. China has hosts of its own, so set the endpoints and `CODE_PARAMS`.
Refresh token: `SCOPE` needs `openid offline_access`.
Lifetimes: As in each response: an access token of about 8 hours. Refresh token 3 months from its
    issue.
Ends: 3 months without a refresh, a new password, or a refresh token that was replaced over 24 hours
    ago.
Source: https://developer.tesla.com/docs/fleet-api/authentication/third-party-tokens.
Unverified: The lifetime of the access token, PKCE and the revocation.
"""

from datetime import timedelta

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider, Rotation, RotationKind
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="tesla-fleet",
    authorization_endpoint="https://auth.tesla.com/oauth2/v3/authorize",
    token_endpoint="https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token",
    pkce=Pkce.NONE,
    # "The most recently used refresh token" stays valid for 24 hours.
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(hours=24)),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    # The shortest three months.
    refresh_token_lifetime=timedelta(days=89),
    placeholders={"region": ("eu", "na")},
    required_settings=("SCOPE",),
    wire=WireFormat(
        code_params=(("audience", "https://fleet-api.prd.{region}.vn.cloud.tesla.com"),)
    ),
)
