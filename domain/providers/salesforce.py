"""Salesforce, production: the response names the host of the API, `instance_url`.

Register: Salesforce Setup, External Client App Manager: an app with the redirect URI, web server
    flow.
Refresh token: `SCOPE` needs `refresh_token` or `offline_access`, and a scope such as `api`.
Lifetimes: No response has a lifetime. The access token lasts as long as a session of the
    organization: 15 minutes (assumed) to 24 hours from its last use, by default 2 hours. Set
    `ACCESS_TOKEN_LIFETIME` to it.
Ends: The refresh token policy of the app: by default a revocation only. The sixth login of an
    account and app ends the oldest.
Source: jsforce (src/oauth2.ts), openiddict, social-core, amp-labs, Nango.
Unverified: The limit of five logins, and the default without replacement: the preset expects a new
    refresh token, without grace.
"""

from datetime import timedelta

from domain.provider import Provider


def salesforce(host: str, *, name: str) -> Provider:
    """Return Salesforce at one of its login hosts."""
    services = f"https://{host}/services/oauth2"
    return Provider(
        name=name,
        authorization_endpoint=f"{services}/authorize",
        token_endpoint=f"{services}/token",
        lifetime_members=(),
        revocation_endpoint=f"{services}/revoke",
        # The shortest session that an organization can set.
        access_token_lifetime=timedelta(minutes=15),
        refresh_token_lifetime=None,
        placeholders={"domain": ()} if "{domain}" in host else {},
        required_settings=("SCOPE",),
        response_members=("instance_url", "id"),
    )


PROVIDER = salesforce("login.salesforce.com", name="salesforce")
