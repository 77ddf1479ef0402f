"""WHOOP: refreshes repeat the scope `offline`.

Register: https://developer-dashboard.whoop.com, an app with the redirect URI.
Refresh token: `SCOPE` needs `offline`.
Lifetimes: Access token 1 hour. No lifetime of the refresh token is documented.
Ends: A spent refresh token, or a revocation by the account.
Source: https://developer.whoop.com/docs/developing/oauth and
    /docs/tutorials/refresh-token-javascript.
Unverified: That a refresh ends the old access token. The preset refreshes late, as if it did.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="whoop",
    authorization_endpoint="https://api.prod.whoop.com/oauth/oauth2/auth",
    token_endpoint="https://api.prod.whoop.com/oauth/oauth2/token",
    pkce=Pkce.NONE,
    refresh_ends_access_token=True,
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=None,
    required_settings=("SCOPE",),
    # As in WHOOP's samples.
    wire=WireFormat(refresh_params=(("scope", "offline"),)),
)
