"""Slack: bot tokens, and user tokens of apps without a bot.

Register: https://api.slack.com/apps, OAuth & Permissions, with the redirect URI (https only).
    Switch token rotation on for tokens that expire.
Refresh token: With token rotation every login returns one. `SCOPE` has the bot's scopes, separated
    by commas. For a user token set `AUTHORIZATION_PARAMS=user_scope=…`.
Lifetimes: With token rotation, access token 12 hours. Without, it does not expire. The refresh
    token has no stated lifetime.
Ends: A spent refresh token, an uninstalled app, or a revocation.
Source: https://docs.slack.dev/authentication/using-token-rotation; slackapi/python-slack-sdk
    (rotator.py), slackapi/java-slack-sdk.
"""

from datetime import timedelta

from domain.provider import AssumedLifetime, Pkce, Provider

PROVIDER = Provider(
    name="slack",
    authorization_endpoint="https://slack.com/oauth/v2/authorize",
    token_endpoint="https://slack.com/api/oauth.v2.access",
    token_type="bot",
    # PKCE is for clients without a secret.
    pkce=Pkce.NONE,
    access_token_lifetime=AssumedLifetime(timedelta(hours=12)),
    refresh_token_lifetime=None,
)
