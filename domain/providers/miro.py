"""Miro: access tokens expire if the app says so.

Register: https://miro.com/app/settings/user-profile/apps, an app with the redirect URI and "Expire
    user authorization token".
Refresh token: Every login returns one if the app's tokens expire. The scopes are those of the app.
Lifetimes: Access token 1 hour. Refresh token 60 days from its issue. Without the option, the access
    token does not expire.
Ends: 60 days without a refresh, a spent refresh token, or an uninstalled app.
Source: https://developers.miro.com, "Get new access token using refresh token".
"""

from datetime import timedelta

from domain.provider import AssumedLifetime, Pkce, Provider

PROVIDER = Provider(
    name="miro",
    authorization_endpoint="https://miro.com/oauth/authorize",
    token_endpoint="https://api.miro.com/v1/oauth/token",
    pkce=Pkce.NONE,
    access_token_lifetime=AssumedLifetime(timedelta(hours=1)),
    refresh_token_lifetime=timedelta(days=60),
)
