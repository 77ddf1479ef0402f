"""Atlassian Cloud (Jira, Confluence): the login has to be repeated once a year.

Register: https://developer.atlassian.com/console, an OAuth 2.0 integration with the redirect URI.
Refresh token: `SCOPE` needs `offline_access`. The preset sends the audience `api.atlassian.com` and
    asks for consent.
Lifetimes: Access token 1 hour. Refresh token 90 days from its issue, and at most 365 days from the
    login.
Ends: 90 days without a refresh, 365 days after the login, or a refresh token that was spent over 10
    minutes ago.
Source: https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens, and its table as
    quoted in an issue thread; Nango.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="atlassian",
    authorization_endpoint="https://auth.atlassian.com/authorize",
    token_endpoint="https://auth.atlassian.com/oauth/token",
    # PKCE is not part of their documentation.
    pkce=Pkce.NONE,
    authorization_params=(("audience", "api.atlassian.com"), ("prompt", "consent")),
    # "Leeway" in their table.
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(minutes=10)),
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(days=90),
    login_lifetime=timedelta(days=365),
    required_settings=("SCOPE",),
)
