"""GitHub, an OAuth app: access tokens that do not expire, and no refresh tokens.

Register: GitHub, Settings, Developer settings, OAuth Apps, with the redirect URI as the callback
    URL.
Refresh token: None exists, and none is needed.
Lifetimes: The access token does not expire.
Ends: A year without use, a revocation by the account, or the eleventh token of an account and app
    with the same scope.
Source: https://docs.github.com, "Authorizing OAuth apps" (github/docs);
    https://github.blog/changelog/2025-07-14-pkce-support-for-oauth-and-github-app-authentication;
    Auth.js for the issuer.
Unverified: The end after a year, and the limit of ten tokens.
"""

from domain.provider import Provider
from domain.wire_format import RevocationStyle, WireFormat

PROVIDER = Provider(
    name="github-oauth-app",
    # It is the `iss` of the redirect back.
    issuer="https://github.com/login/oauth",
    authorization_endpoint="https://github.com/login/oauth/authorize",
    token_endpoint="https://github.com/login/oauth/access_token",
    revocation_endpoint="https://api.github.com/applications/{client_id}/token",
    lifetime_members=(),
    access_token_lifetime=None,
    refresh_token_lifetime=None,
    wire=WireFormat(revocation=RevocationStyle.DELETE_JSON),
)
