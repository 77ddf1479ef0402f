"""Calendly: the response names the account's `owner` and `organization`.

Register: https://developer.calendly.com, an app with the redirect URI, of the kind web.
Refresh token: Every login returns one.
Lifetimes: As in each response: an access token of about 2 hours.
Ends: A spent refresh token, or a revocation by the account.
Source: openiddict, Nango, amp-labs.
Unverified: The lifetimes, and that each refresh token works once.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Provider

PROVIDER = Provider(
    name="calendly",
    authorization_endpoint="https://auth.calendly.com/oauth/authorize",
    token_endpoint="https://auth.calendly.com/oauth/token",
    revocation_endpoint="https://auth.calendly.com/oauth/revoke",
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    response_members=("owner", "organization"),
)
