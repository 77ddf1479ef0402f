"""Shopify, expiring offline tokens: `ENDPOINT_VALUES` names the shop.

Register: https://dev.shopify.com, an app with the redirect URI. `ENDPOINT_VALUES=shop=…` is the
    part before `.myshopify.com`.
Refresh token: The preset asks for tokens that expire, with `expiring=1`. `SCOPE` is separated by
    commas.
Lifetimes: Access token 60 minutes. Refresh token 90 days from its issue.
Ends: 90 days without a refresh, an uninstalled app, or a spent refresh token once its successor was
    used.
Source:
    https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens;
    Shopify/shopify-app-js.
Unverified: The bound of the time in which the old refresh token works. The `hmac` of the redirect
    back is not checked: `state` protects it.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider, Rotation, RotationKind
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="shopify",
    authorization_endpoint="https://{shop}.myshopify.com/admin/oauth/authorize",
    token_endpoint="https://{shop}.myshopify.com/admin/oauth/access_token",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(days=30), until_used=True),
    access_token_lifetime=timedelta(minutes=60),
    refresh_token_lifetime=timedelta(days=90),
    placeholders={"shop": ()},
    wire=WireFormat(code_params=(("expiring", "1"),)),
)
