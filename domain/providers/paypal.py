"""PayPal, production: Log in with PayPal. An integration of your own account needs no login.

Register: https://developer.paypal.com/dashboard/applications, live, Log in with PayPal, with the
    redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `openid`.
Lifetimes: As in each response: an access token of some 8 hours.
Ends: A revocation by the account, or some 180 days.
Source: paypal/paypal-rest-api-specifications; Nango, better-auth, golang.org/x/oauth2.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Pkce, Provider


def paypal(site: str, api: str, *, name: str) -> Provider:
    """Return PayPal at a pair of its hosts."""
    return Provider(
        name=name,
        authorization_endpoint=f"https://{site}/signin/authorize",
        token_endpoint=f"https://{api}/v1/oauth2/token",
        client_authentication=ClientAuthentication.BASIC,
        pkce=Pkce.NONE,
        access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
        refresh_token_lifetime=None,
    )


PROVIDER = paypal("www.paypal.com", "api-m.paypal.com", name="paypal")
