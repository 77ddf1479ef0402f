"""Salesforce, sandboxes: the same with the host test.salesforce.com.

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

from domain.providers.salesforce import salesforce

PROVIDER = salesforce("test.salesforce.com", name="salesforce-sandbox")
