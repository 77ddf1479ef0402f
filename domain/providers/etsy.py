"""Etsy, v3: PKCE is required, and the secret is ignored.

Register: https://www.etsy.com/developers/your-apps, with the redirect URI. The client id is the
    keystring.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `listings_r`.
Lifetimes: As in each response: an access token of about 1 hour.
Ends: About 90 days without a refresh, or a revocation by the account.
Source: Arctic, social-core, Nango.
Unverified: The lifetimes, that the secret is ignored, and that a refresh replaces the refresh
    token. The preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider

PROVIDER = Provider(
    name="etsy",
    authorization_endpoint="https://www.etsy.com/oauth/connect",
    token_endpoint="https://api.etsy.com/v3/public/oauth/token",
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
