"""Webex: the access token is valid for two weeks.

Register: https://developer.webex.com/my-apps, an integration with the redirect URI and its scopes.
Refresh token: Every login returns one. `SCOPE` needs scopes of the integration.
Lifetimes: Access token 14 days. Refresh token 90 days from its issue.
Ends: 90 days without a refresh, or a revocation by the account.
Source: https://developer.webex.com/docs/integrations.
Unverified: PKCE, and whether a refresh replaces the refresh token. The preset expects a new one,
    without grace.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="webex",
    authorization_endpoint="https://webexapis.com/v1/authorize",
    token_endpoint="https://webexapis.com/v1/access_token",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(days=14),
    refresh_token_lifetime=timedelta(days=90),
)
