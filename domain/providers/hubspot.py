"""HubSpot: the refresh token is valid until the app is uninstalled.

Register: https://developers.hubspot.com, an app with the redirect URI and its scopes.
Refresh token: Every login returns one. `SCOPE` needs the scopes of the app.
Lifetimes: Access token 30 minutes. The refresh token does not expire.
Ends: An uninstalled app.
Source: HubSpot/HubSpot-public-api-spec-collection, HubSpot/hubspot-api-nodejs (RefreshTokensApi);
    Auth.js.
Unverified: That a refresh returns the same refresh token. The preset expects a new one, without
    grace.
"""

from datetime import timedelta

from domain.provider import Pkce, Provider

PROVIDER = Provider(
    name="hubspot",
    authorization_endpoint="https://app.hubspot.com/oauth/authorize",
    token_endpoint="https://api.hubapi.com/oauth/v1/token",
    pkce=Pkce.NONE,
    access_token_lifetime=timedelta(minutes=30),
    refresh_token_lifetime=None,
)
