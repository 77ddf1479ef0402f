"""Discord: the revocation of one token ends the whole authorization.

Register: https://discord.com/developers/applications, OAuth2, with the redirect URI.
Refresh token: Every login returns one. `SCOPE` needs at least one scope, such as `identify`.
Lifetimes: Access token 7 days. No lifetime of the refresh token is documented.
Ends: A revocation by the account or of any of its tokens.
Source: https://docs.discord.com/developers/topics/oauth2 (discord/discord-api-docs); Arctic for the
    revocation endpoint.
"""

from datetime import timedelta

from domain.provider import Provider

PROVIDER = Provider(
    name="discord",
    authorization_endpoint="https://discord.com/oauth2/authorize",
    token_endpoint="https://discord.com/api/oauth2/token",
    revocation_endpoint="https://discord.com/api/oauth2/token/revoke",
    access_token_lifetime=timedelta(days=7),
    refresh_token_lifetime=None,
)
