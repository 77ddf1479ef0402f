"""NetSuite: the login has to be repeated every 7 days. `ENDPOINT_VALUES` names the account.

Register: NetSuite, Setup, Integration, Manage Integrations, with the authorization code grant and
    the redirect URI. `ENDPOINT_VALUES=account=…` is the account id as in its host.
Refresh token: Every login returns one. `SCOPE` needs a scope such as `rest_webservices`.
Lifetimes: As in each response: an access token of about 1 hour. Refresh token 7 days from the
    login, which no refresh extends.
Ends: 7 days after the login, or a revocation.
Source: Nango, amp-labs.
Unverified: The client's authentication, the lifetime of the access token, PKCE, and that a refresh
    returns the same refresh token. The preset expects a new one, without grace.
"""

from datetime import timedelta

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    LifetimeStart,
    Pkce,
    Provider,
)

PROVIDER = Provider(
    name="netsuite",
    authorization_endpoint="https://{account}.app.netsuite.com/app/login/oauth2/authorize.nl",
    token_endpoint="https://{account}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=timedelta(days=7),
    refresh_token_counted=LifetimeStart.LOGIN,
    placeholders={"account": ()},
)
