"""Google Nest Device Access (SDM): Google's tokens, with a login of its own for each project.

Register: https://console.nest.google.com/device-access, a project with an OAuth client of Google
    Cloud. `ENDPOINT_VALUES=project_id=…`.
Refresh token: The preset asks for offline access and for consent, as with Google, and for the only
    scope.
Lifetimes: As in each response: an access token of about 1 hour. As at Google, 7 days from the login
    while the consent screen is in testing.
Ends: A revocation by the account, or 7 days after the login while the consent screen is in testing.
Source: Home Assistant (nest), goth; Nango for the 7 days.
Unverified: The lifetime of the access token, the two parameters, and PKCE.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="nest-sdm",
    authorization_endpoint="https://nestservices.google.com/partnerconnections/{project_id}/auth",
    token_endpoint="https://www.googleapis.com/oauth2/v4/token",
    revocation_endpoint="https://oauth2.googleapis.com/revoke",
    pkce=Pkce.NONE,
    scope="https://www.googleapis.com/auth/sdm.service",
    authorization_params=(("access_type", "offline"), ("prompt", "consent")),
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    placeholders={"project_id": ()},
)
