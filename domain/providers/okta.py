"""Okta, a custom authorization server: `ENDPOINT_VALUES` names it and the organization.

Register: Okta admin console, Applications, OIDC web application, with the redirect URI and the
    grant type Refresh Token. `ENDPOINT_VALUES=org=…&server=default`.
Refresh token: `SCOPE` needs `offline_access`.
Lifetimes: As in each response and in the server's policies: an access token 5 minutes to 24 hours,
    a refresh token until it was unused for 7 days.
Ends: The limits of the policies, or a refresh token that was spent longer ago than the
    application's grace period.
Source: https://developer.okta.com/docs/guides/refresh-tokens (okta/okta-developer-docs);
    golang.org/x/oauth2, Nango.
Unverified: The defaults of the policies. The grace period is a setting of 0 to 60 seconds, and the
    preset relies on none: set `ROTATION=optional;grace=30s` if it is 30 s.
"""

from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    ClientAuthentication,
    Provider,
    Rotation,
    RotationKind,
)


def okta(path: str, *, name: str) -> Provider:
    """Return Okta at a path of an organization's host."""
    server = f"https://{{org}}.okta.com/oauth2{path}/v1"
    return Provider(
        name=name,
        authorization_endpoint=f"{server}/authorize",
        token_endpoint=f"{server}/token",
        revocation_endpoint=f"{server}/revoke",
        # The default of a web application. It is a setting of the application.
        client_authentication=ClientAuthentication.BASIC,
        rotation=Rotation(kind=RotationKind.OPTIONAL),
        access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
        refresh_token_lifetime=None,
        placeholders={"org": (), "server": ()} if path else {"org": ()},
        required_settings=("SCOPE",),
    )


PROVIDER = okta("/{server}", name="okta")
