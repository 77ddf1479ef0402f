"""Grants to begin a test with, at any distance from the end of their tokens."""

import secrets
from datetime import UTC, datetime, timedelta

from domain.grant import Authorized
from domain.tokens import Tokens

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LIFE = 30 * MINUTE
# The access token outlives what every caller may demand, but a refresh is wanted.
NEAR_END = LIFE - 4 * MINUTE
# The access token is over.
OVER = LIFE + MINUTE


def authorized(
    *,
    access_ends: datetime | None,
    refresh_ends: datetime | None,
    has_refresh_token: bool = True,
    generation: int = 0,
) -> Authorized:
    """A grant whose tokens no provider knows; its access token is good for half an hour."""
    issued_at = datetime.now(UTC) if access_ends is None else access_ends - LIFE
    tokens = Tokens(
        generation=generation,
        authorized_at=issued_at,
        issued_at=issued_at,
        access_token=f"access-{secrets.token_urlsafe()}",
        token_type="Bearer",
        scope=None,
        expires_at=access_ends,
        refresh_token=f"refresh-{secrets.token_urlsafe()}" if has_refresh_token else None,
        refresh_token_expires_at=refresh_ends,
    )
    return Authorized(tokens=tokens)


def fresh() -> Authorized:
    """A grant right after a login."""
    now = datetime.now(UTC)
    return authorized(access_ends=now + LIFE, refresh_ends=now + 90 * DAY)


def over() -> Authorized:
    """A grant whose access token has expired; the provider does not know the refresh token."""
    now = datetime.now(UTC)
    return authorized(access_ends=now - MINUTE, refresh_ends=now + 90 * DAY)
