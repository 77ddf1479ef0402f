"""Bitbucket Cloud: its scopes are those of the consumer.

Register: Bitbucket, Workspace settings, OAuth consumers, with the redirect URI and the permissions.
Refresh token: Every login returns one.
Lifetimes: Access token 2 hours. No lifetime of the refresh token is documented.
Ends: A revocation by the account.
Source: https://support.atlassian.com, "Use OAuth on Bitbucket Cloud"; Nango, simov/grant.
Unverified: Whether a refresh replaces the refresh token. The preset expects a new one, without
    grace.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="bitbucket",
    authorization_endpoint="https://bitbucket.org/site/oauth2/authorize",
    token_endpoint="https://bitbucket.org/site/oauth2/access_token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(hours=2),
    refresh_token_lifetime=None,
)
