"""GitLab.com: a refresh also ends the old access token.

Register: GitLab, Preferences, Applications: a confidential application with the redirect URI.
Refresh token: Every login returns one, with any scope.
Lifetimes: Access token 2 hours. No lifetime of the refresh token is documented.
Ends: A spent refresh token, or a revocation by the account.
Source: https://docs.gitlab.com/api/oauth2 (gitlab-org/gitlab, doc/api/oauth2.md), issue 372358.
"""

from datetime import timedelta

from domain.provider import Provider


def gitlab(host: str, *, name: str) -> Provider:
    """Return GitLab at a host, which is also its issuer."""
    return Provider(
        name=name,
        issuer=None if host == "{host}" else f"https://{host}",
        authorization_endpoint=f"https://{host}/oauth/authorize",
        token_endpoint=f"https://{host}/oauth/token",
        revocation_endpoint=f"https://{host}/oauth/revoke",
        # "The existing access_token and refresh_token are invalidated."
        refresh_ends_access_token=True,
        access_token_lifetime=timedelta(hours=2),
        refresh_token_lifetime=None,
        placeholders={"host": ()} if host == "{host}" else {},
    )


PROVIDER = gitlab("gitlab.com", name="gitlab")
