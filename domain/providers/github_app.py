"""GitHub, a GitHub App: a refresh also ends the old access token.

Register: GitHub, Settings, Developer settings, GitHub Apps, with the redirect URI as a callback
    URL. The option "Expire user authorization tokens" stays on.
Refresh token: Every login returns one. The app's permissions replace scopes.
Lifetimes: Access token 8 hours. Refresh token 184 days from its issue.
Ends: 184 days without a refresh, a spent refresh token, or a revocation by the account.
Source: https://docs.github.com, "Refreshing user access tokens" (github/docs).
"""

from datetime import timedelta

from domain.provider import Provider
from domain.wire_format import RevocationStyle, WireFormat

PROVIDER = Provider(
    name="github-app",
    # It is the `iss` of the redirect back.
    issuer="https://github.com/login/oauth",
    authorization_endpoint="https://github.com/login/oauth/authorize",
    token_endpoint="https://github.com/login/oauth/access_token",
    revocation_endpoint="https://api.github.com/applications/{client_id}/grant",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    refresh_ends_access_token=True,
    access_token_lifetime=timedelta(hours=8),
    # 15897600 seconds.
    refresh_token_lifetime=timedelta(days=184),
    wire=WireFormat(revocation=RevocationStyle.DELETE_JSON),
)
