"""Login with Amazon: accounts of customers.

Register: https://developer.amazon.com/loginwithamazon/console, a security profile with the redirect
    URI as an allowed return URL.
Refresh token: Every login returns one. `SCOPE` needs a scope such as `profile`.
Lifetimes: As in each response: an access token of about 1 hour. The refresh token has no stated
    end.
Ends: A revocation by the customer.
Source: golang.org/x/oauth2, openiddict, chillerlan/php-oauth, Nango.
Unverified: The lifetimes, and that a refresh returns the same refresh token. The preset expects a
    new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider

PROVIDER = Provider(
    name="amazon-lwa",
    authorization_endpoint="https://www.amazon.com/ap/oa",
    token_endpoint="https://api.amazon.com/auth/o2/token",
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
