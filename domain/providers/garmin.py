"""Garmin Connect, OAuth 2: PKCE is required.

Register: https://developer.garmin.com, an approved app of an organization, with the redirect URI.
Refresh token: Every login returns one.
Lifetimes: Access token 24 hours. Refresh token 90 days from its issue.
Ends: 90 days without a refresh, or a deregistered account.
Source: Garmin's documentation as quoted; the-momentum/open-wearables, Nango.
Unverified: That a refresh replaces the refresh token. The preset expects a new one, without grace.
"""

from datetime import timedelta

from domain.provider import Provider

PROVIDER = Provider(
    name="garmin",
    authorization_endpoint="https://connect.garmin.com/oauth2Confirm",
    token_endpoint="https://diauth.garmin.com/di-oauth2-service/oauth/token",
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    access_token_lifetime=timedelta(hours=24),
    # 7775998 seconds in responses.
    refresh_token_lifetime=timedelta(seconds=7_775_998),
)
