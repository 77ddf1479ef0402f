"""RingCentral: a refresh also ends the old access token.

Register: https://developers.ringcentral.com/my-account.html, a REST API app with 3-legged OAuth and
    the redirect URI.
Refresh token: Every login returns one. The scopes are those of the app.
Lifetimes: Access token 1 hour. Refresh token 7 days from its issue, as in each response.
Ends: 7 days without a refresh, a new password, a policy of the company, or the sixth session of an
    account.
Source: https://developers.ringcentral.com/guide/authentication/tokens; ringcentral/RingCentral.Net;
    tylerlong/ringcentral-token-refresh-experiment.
Unverified: PKCE.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="ringcentral",
    authorization_endpoint="https://platform.ringcentral.com/restapi/oauth/authorize",
    token_endpoint="https://platform.ringcentral.com/restapi/oauth/token",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    revocation_endpoint="https://platform.ringcentral.com/restapi/oauth/revoke",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    # It works until 10 seconds after that use.
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(minutes=60), until_used=True),
    refresh_ends_access_token=True,
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(days=7),
    response_members=("owner_id",),
)
