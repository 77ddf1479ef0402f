"""Dropbox: a refresh never replaces the refresh token.

Register: https://www.dropbox.com/developers/apps, an app with the redirect URI and its permissions.
Refresh token: The preset asks for offline access with `token_access_type`. `AUTHORIZATION_PARAMS`
    replaces it.
Lifetimes: Access token 4 hours. The refresh token has no stated end.
Ends: A revocation by the account.
Source: dropbox/dropbox-sdk-python (oauth.py, dropbox_client.py); Arctic for the revocation.
Unverified: That the refresh token does not expire.
"""

from datetime import timedelta

from domain.provider import Provider, Rotation, RotationKind
from domain.wire_format import RevocationStyle, WireFormat

PROVIDER = Provider(
    name="dropbox",
    issuer="https://www.dropbox.com",
    authorization_endpoint="https://www.dropbox.com/oauth2/authorize",
    token_endpoint="https://api.dropboxapi.com/oauth2/token",
    revocation_endpoint="https://api.dropboxapi.com/2/auth/token/revoke",
    authorization_params=(("token_access_type", "offline"),),
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=timedelta(hours=4),
    refresh_token_lifetime=None,
    wire=WireFormat(revocation=RevocationStyle.BEARER),
)
