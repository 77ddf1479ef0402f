"""Airtable: PKCE is required, and a spent refresh token ends the login.

Register: https://airtable.com/create/oauth, an integration with the redirect URI, a client secret
    and its scopes.
Refresh token: Every login returns one. `SCOPE` needs scopes of the integration.
Lifetimes: As in each response: an access token of about 60 minutes, a refresh token of about 60
    days.
Ends: A refresh token that is used twice, about 60 days without a refresh, or a revocation.
Source: Airtable/oauth-example; openiddict, Nango.
Unverified: The lifetimes, and that a refresh ends the old access token. The preset refreshes late,
    as if it did.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Provider

PROVIDER = Provider(
    name="airtable",
    authorization_endpoint="https://airtable.com/oauth2/v1/authorize",
    token_endpoint="https://airtable.com/oauth2/v1/token",
    client_authentication=ClientAuthentication.BASIC,
    # "Previous tokens are invalidated."
    refresh_ends_access_token=True,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
