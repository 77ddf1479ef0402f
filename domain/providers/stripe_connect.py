"""Stripe Connect: the access token is the key of the account, `stripe_user_id` its id.

Register: https://dashboard.stripe.com/settings/connect, OAuth, with the redirect URI. The secret is
    the platform's API key.
Refresh token: Every login returns one. `SCOPE=read_write` for more than reading.
Lifetimes: The access token does not expire, and the preset does not refresh it by itself.
Ends: A disconnected platform.
Source: stripe/stripe-python (_oauth.py), social-core, goth. Stripe advises the platform's own key
    with the header `Stripe-Account`.
Unverified: That the access token does not expire, and that a refresh replaces the key.
"""

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="stripe-connect",
    authorization_endpoint="https://connect.stripe.com/oauth/authorize",
    token_endpoint="https://connect.stripe.com/oauth/token",
    lifetime_members=(),
    pkce=Pkce.NONE,
    # A refresh would replace the account's key.
    refresh_ends_access_token=True,
    access_token_lifetime=None,
    refresh_token_lifetime=None,
    response_members=("stripe_user_id", "stripe_publishable_key", "livemode"),
)
