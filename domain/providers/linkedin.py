"""LinkedIn: the login has to be repeated once a year.

Register: https://www.linkedin.com/developers/apps, with the redirect URI.
Refresh token: Approved partners get one with every login. Without one, a login is needed every 60
    days.
Lifetimes: Access token 60 days. Refresh token 365 days from the login, which no refresh extends.
Ends: 365 days after the login, or a revocation by the member.
Source: https://learn.microsoft.com/linkedin/shared/authentication/programmatic-refresh-tokens;
    Auth.js, openiddict.
"""

from datetime import timedelta

from domain.provider import LifetimeStart, Pkce, Provider, Rotation, RotationKind

PROVIDER = Provider(
    name="linkedin",
    authorization_endpoint="https://www.linkedin.com/oauth/v2/authorization",
    token_endpoint="https://www.linkedin.com/oauth/v2/accessToken",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    # Web apps have a secret. PKCE has an endpoint of its own.
    pkce=Pkce.NONE,
    rotation=Rotation(kind=RotationKind.NONE),
    access_token_lifetime=timedelta(days=60),
    refresh_token_lifetime=timedelta(days=365),
    refresh_token_counted=LifetimeStart.LOGIN,
)
