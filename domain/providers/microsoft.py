"""Microsoft Entra ID: accounts of any organization, and personal ones.

Register: https://entra.microsoft.com, App registrations, the platform Web with the redirect URI.
    Its client secret expires after at most 24 months.
Refresh token: `SCOPE` needs `offline_access`, and scopes of one resource.
Lifetimes: Access token 60 to 90 minutes, as in each response. Refresh token 90 days from its issue,
    and 24 hours for a redirect URI of the platform SPA.
Ends: 90 days without a refresh, a new password, a revocation of the sessions, or a policy of the
    organization.
Source: https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    (MicrosoftDocs/entra-docs); Auth.js, MSAL.
Unverified: The lifetime of the access token: it is in each response, and otherwise assumed to be 5
    minutes.
"""

from datetime import timedelta

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider, Rotation, RotationKind


def microsoft(tenant: str, *, name: str) -> Provider:
    """Return Entra ID for the accounts of a tenant. Endpoints by hand: `common` has no real issuer.

    The issuer in the metadata of `common` is a template, so discovery refuses it.
    """
    return Provider(
        name=name,
        authorization_endpoint=f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token_endpoint=f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        # "Refresh tokens": each use returns a new one, and the old one is not revoked.
        rotation=Rotation(kind=RotationKind.OPTIONAL, grace=timedelta(days=90)),
        access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
        refresh_token_lifetime=timedelta(days=90),
        placeholders={"tenant": ()} if tenant == "{tenant}" else {},
        required_settings=("SCOPE",),
    )


PROVIDER = microsoft("common", name="microsoft")
