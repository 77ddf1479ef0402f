"""Stripe Apps: the secret is the user name of HTTP Basic.

Register: An app with OAuth in its manifest, the redirect URI, and the account's secret key as
    `CLIENT_SECRET`.
Refresh token: Every login returns one.
Lifetimes: Access token 1 hour. The refresh token has no verified lifetime.
Ends: An uninstalled app, or a spent refresh token.
Source: Nango (providers.yaml, provider.client.ts).
Unverified: The refresh token's year, and that a refresh replaces it.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider

PROVIDER = Provider(
    name="stripe-apps",
    authorization_endpoint="https://marketplace.stripe.com/oauth/v2/authorize",
    token_endpoint="https://api.stripe.com/v1/oauth/token",
    lifetime_members=(),
    client_authentication=ClientAuthentication.SECRET_AS_USER,
    pkce=Pkce.NONE,
    # No response has a lifetime.
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=None,
    response_members=("stripe_user_id",),
)
