"""eBay, production: the redirect URI is sent as eBay's name for it, the RuName.

Register: https://developer.ebay.com/my/keys, production, User Tokens: the redirect URI as the auth
    accepted URL. `REDIRECT_URI` is the RuName.
Refresh token: Every login returns one. `SCOPE` has the scopes, which are URLs.
Lifetimes: Access token 2 hours. Refresh token 18 months from the login, which no refresh extends.
Ends: 18 months after the login, a new password, or a revocation by the account.
Source: eBay/ebay-oauth-nodejs-client; eBay's documentation as quoted.
Unverified: That a new password ends the login.
"""

from datetime import timedelta

from domain.provider import (
    ClientAuthentication,
    LifetimeStart,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)


def ebay(host: str, api: str, *, name: str) -> Provider:
    """Return eBay at a pair of its hosts."""
    return Provider(
        name=name,
        authorization_endpoint=f"https://{host}/oauth2/authorize",
        token_endpoint=f"https://{api}/identity/v1/oauth2/token",
        lifetime_members=("expires_in", "refresh_token_expires_in"),
        token_type="User Access Token",
        client_authentication=ClientAuthentication.BASIC,
        pkce=Pkce.NONE,
        rotation=Rotation(kind=RotationKind.NONE),
        access_token_lifetime=timedelta(hours=2),
        # 47304000 seconds.
        refresh_token_lifetime=timedelta(days=547, hours=12),
        refresh_token_counted=LifetimeStart.LOGIN,
        # eBay's name of the redirect URI, which is a text and not a URL.
        required_settings=("REDIRECT_URI",),
    )


PROVIDER = ebay("auth.ebay.com", "api.ebay.com", name="ebay")
