"""Zoho: `ENDPOINT_VALUES` names the data centre of the account.

Register: https://api-console.zoho.com, a server-based application with the redirect URI.
    `ENDPOINT_VALUES=dc=eu` is the end of the data centre's host. Canada has hosts of its own, so
    set the endpoints.
Refresh token: The preset asks for offline access and for consent. `AUTHORIZATION_PARAMS` replaces
    both. `SCOPE` is separated by commas.
Lifetimes: Access token 1 hour. The refresh token does not expire.
Ends: A revocation, or the twenty-first refresh token of an account, which ends the oldest. An
    access token ends with the thirty-first of its refresh token.
Source: https://www.zoho.com/fsm/developer, /workerly and /contracts, "Refreshing access tokens";
    golang.org/x/oauth2.
"""

from datetime import timedelta

from domain.provider import Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="zoho",
    authorization_endpoint="https://accounts.zoho.{dc}/oauth/v2/auth",
    token_endpoint="https://accounts.zoho.{dc}/oauth/v2/token",
    authorization_params=(("access_type", "offline"), ("prompt", "consent")),
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=None,
    placeholders={"dc": ("com", "eu", "in", "com.au", "jp", "com.cn")},
    response_members=("api_domain",),
    callback_members=("location", "accounts-server"),
)
