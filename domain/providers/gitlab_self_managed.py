"""GitLab on a host of your own, which `ENDPOINT_VALUES` names.

Register: GitLab, Preferences, Applications: a confidential application with the redirect URI.
    `ENDPOINT_VALUES=host=…` is the host name.
Refresh token: Every login returns one, with any scope.
Lifetimes: Access token 2 hours. No lifetime of the refresh token is documented.
Ends: A spent refresh token, or a revocation by the account.
Source: https://docs.gitlab.com/api/oauth2 (gitlab-org/gitlab, doc/api/oauth2.md), issue 372358.
"""

from domain.providers.gitlab import gitlab

PROVIDER = gitlab("{host}", name="gitlab-self-managed")
