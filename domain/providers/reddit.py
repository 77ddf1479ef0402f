"""Reddit: it blocks common names of programs, so set `USER_AGENT`.

Register: https://www.reddit.com/prefs/apps, a web app with the redirect URI.
Refresh token: The preset asks for a permanent login with `duration`. `AUTHORIZATION_PARAMS`
    replaces it.
Lifetimes: As in each response: an access token of about 24 hours. The refresh token has no end.
Ends: A revocation by the account.
Source: praw-dev/prawcore, openiddict, Nango.
Unverified: The lifetime of the access token, and that a refresh returns the same refresh token. The
    preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="reddit",
    authorization_endpoint="https://www.reddit.com/api/v1/authorize",
    token_endpoint="https://www.reddit.com/api/v1/access_token",
    revocation_endpoint="https://www.reddit.com/api/v1/revoke_token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    authorization_params=(("duration", "permanent"),),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
