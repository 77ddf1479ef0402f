"""Zendesk Support: `ENDPOINT_VALUES` names the subdomain.

Register: Zendesk Admin Center, APIs, OAuth clients, with the redirect URI.
    `ENDPOINT_VALUES=subdomain=…` is the part before `.zendesk.com`.
Refresh token: Set `TOKEN_PARAMS=expires_in=…` for an access token that expires, in seconds, and a
    refresh token. Without, both depend on the age of the client.
Lifetimes: As in each response: 5 minutes to 2 days, as requested. An older client's access token
    does not expire.
Ends: A revocation, or a spent refresh token.
Source: Nango, simov/grant, Airbyte.
Unverified: The lifetimes, PKCE, and that a refresh ends the old tokens. The preset refreshes late,
    as if it did.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="zendesk",
    authorization_endpoint="https://{subdomain}.zendesk.com/oauth/authorizations/new",
    token_endpoint="https://{subdomain}.zendesk.com/oauth/tokens",
    pkce=Pkce.NONE,
    refresh_ends_access_token=True,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    placeholders={"subdomain": ()},
)
