"""Typeform: access for one account's forms.

Register: https://admin.typeform.com, Developer apps, with the redirect URI.
Refresh token: `SCOPE` needs `offline`, and scopes such as `forms:read`.
Lifetimes: As in each response: an access token of about a week.
Ends: A spent refresh token, or a revocation by the account.
Source: Airbyte, Nango, openiddict, simov/grant.
Unverified: The lifetimes, and the scope `offline`.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider

PROVIDER = Provider(
    name="typeform",
    authorization_endpoint="https://api.typeform.com/oauth/authorize",
    token_endpoint="https://api.typeform.com/oauth/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    required_settings=("SCOPE",),
)
