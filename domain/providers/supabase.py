"""Supabase Management API: the scopes are those of the app.

Register: https://supabase.com/dashboard, organization settings, OAuth apps, with the redirect URI
    and its scopes.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 1 hour.
Ends: A spent refresh token, or a revocation by the organization.
Source: https://supabase.com/docs, "Build a Supabase OAuth integration".
Unverified: The lifetimes, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Provider

PROVIDER = Provider(
    name="supabase",
    authorization_endpoint="https://api.supabase.com/v1/oauth/authorize",
    token_endpoint="https://api.supabase.com/v1/oauth/token",
    client_authentication=ClientAuthentication.BASIC,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
)
