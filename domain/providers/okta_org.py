"""Okta, the authorization server of an organization: its tokens are for Okta's own APIs.

Register: Okta admin console, Applications, OIDC web application, with the redirect URI and the
    grant type Refresh Token. `ENDPOINT_VALUES=org=…`.
Refresh token: `SCOPE` needs `offline_access`.
Lifetimes: As in each response and in the policies: an access token 1 hour, a refresh token until it
    was unused for 7 days.
Ends: The limits of the policies, or a refresh token that was spent longer ago than the
    application's grace period.
Source: https://developer.okta.com/docs/guides/refresh-tokens (okta/okta-developer-docs); Nango,
    simov/grant.
Unverified: The lifetimes. The grace period is a setting of 0 to 60 seconds, and the preset relies
    on none: set `ROTATION=optional;grace=30s` if it is 30 s.
"""

from domain.providers.okta import okta

PROVIDER = okta("", name="okta-org")
