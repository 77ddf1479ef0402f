"""Google: a refresh never replaces the refresh token.

Register: Google Cloud console, Credentials, an OAuth client of the type web application with the
    redirect URI.
Refresh token: The preset asks for offline access and for consent, since Google returns one with
    consent only. `AUTHORIZATION_PARAMS` replaces both parameters. `SCOPE` needs the scopes of the
    APIs.
Lifetimes: Access token 1 hour. Refresh token 6 months after its last use.
Ends: 6 months without use, a revocation by the account, or 7 days after the login while the consent
    screen is external and in testing. A new password ends scopes of Gmail. The oldest of 100
    refresh tokens of an account ends with the next login.
Source: https://developers.google.com/identity/protocols/oauth2, as quoted by Nango and GitGuardian;
    google-auth-library, golang.org/x/oauth2, Auth.js, chillerlan/php-oauth.
Unverified: The limit of 100 refresh tokens, and what a new password ends.
"""

from datetime import timedelta

from domain.provider import LifetimeStart, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="google",
    issuer="https://accounts.google.com",
    authorization_endpoint="https://accounts.google.com/o/oauth2/v2/auth",
    token_endpoint="https://oauth2.googleapis.com/token",
    revocation_endpoint="https://oauth2.googleapis.com/revoke",
    authorization_params=(("access_type", "offline"), ("prompt", "consent")),
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=timedelta(hours=1),
    # The shortest six months.
    refresh_token_lifetime=timedelta(days=181),
    refresh_token_counted=LifetimeStart.USE,
    required_settings=("SCOPE",),
)
