"""Any other provider. The environment describes it.

Register: At the provider, a web application with the redirect URI.
Refresh token: As the provider documents it: a scope such as `offline_access`, or a parameter.
Lifetimes: As in each response, else as in `ACCESS_TOKEN_LIFETIME` and `REFRESH_TOKEN_LIFETIME`.
Ends: As the provider documents it.
Source: RFC 6749, and RFC 7636 for the code challenge.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider

PROVIDER = Provider(
    name="custom",
    # The endpoints come from the environment.
    authorization_endpoint="",
    token_endpoint="",
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
