"""Linear: every login returns a refresh token since April 2026.

Register: https://linear.app/settings/api/applications/new, with the redirect URI.
Refresh token: Every login returns one. `SCOPE` is separated by commas.
Lifetimes: Access token 24 hours. No lifetime of the refresh token is documented.
Ends: A spent refresh token, or a revocation by the workspace.
Source: https://linear.app/developers/oauth-2-0-authentication; linear/linear#251.
Unverified: A grace of 30 minutes, on which the preset does not rely, and PKCE.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="linear",
    authorization_endpoint="https://linear.app/oauth/authorize",
    token_endpoint="https://api.linear.app/oauth/token",
    revocation_endpoint="https://api.linear.app/oauth/revoke",
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(hours=24),
    refresh_token_lifetime=None,
)
