"""Microsoft Entra ID: accounts of one organization, which `ENDPOINT_VALUES` names.

Register: https://entra.microsoft.com, App registrations, the platform Web with the redirect URI.
    `ENDPOINT_VALUES=tenant=…` is the id of the directory, or its domain.
Refresh token: `SCOPE` needs `offline_access`, and scopes of one resource.
Lifetimes: Access token 60 to 90 minutes, as in each response. Refresh token 90 days from its issue,
    and 24 hours for a redirect URI of the platform SPA.
Ends: 90 days without a refresh, a new password, a revocation of the sessions, or a policy of the
    organization.
Source: https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    (MicrosoftDocs/entra-docs); Auth.js, MSAL.
Unverified: The lifetime of the access token: it is in each response, and otherwise assumed to be 5
    minutes.
"""

from domain.providers.microsoft import microsoft

PROVIDER = microsoft("{tenant}", name="microsoft-tenant")
