"""Auth0: `ENDPOINT_VALUES` names the tenant's host.

Register: Auth0 dashboard, a regular web application with the redirect URI and the grant type
    Refresh Token. `ENDPOINT_VALUES=domain=…` is the host, such as tenant.eu.auth0.com.
Refresh token: `SCOPE` needs `offline_access`, and the API has to allow offline access. Set
    `AUTHORIZATION_PARAMS=audience=…` for the token of an API.
Lifetimes: As in each response: an access token of 24 hours by default. The refresh token's
    lifetimes are settings of the application.
Ends: The limits of the application, or a refresh token that was spent longer ago than its overlap
    period.
Source: https://auth0.com/docs, "Configure refresh token expiration"; Auth.js, openiddict, Nango.
Unverified: The defaults. The overlap is a setting, 0 by default, and the preset relies on none.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="auth0",
    authorization_endpoint="https://{domain}/authorize",
    token_endpoint="https://{domain}/oauth/token",
    revocation_endpoint="https://{domain}/oauth/revoke",
    rotation=Rotation(kind=RotationKind.OPTIONAL),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    placeholders={"domain": ()},
    required_settings=("SCOPE",),
)
