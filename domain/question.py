"""The questions to a grant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from domain.serving import DEFAULT_MIN_TTL as DEFAULT_MIN_TTL  # noqa: PLC0414 - of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequested:
    """A program asks for an access token that is valid for `min_ttl`, or half of its lifetime.

    `attempt_id` names the attempt that this may begin. It must be new and unguessable. `refused` is
    the generation of an access token that an API has rejected (`Tokens.public_generation`): the
    program wants another one (rule 18).
    """

    attempt_id: str
    min_ttl: timedelta = DEFAULT_MIN_TTL
    refused: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequested:
    """A caller wants new tokens, unless the stored ones are new enough.

    They are if they were requested at most `min_refresh_interval` before `asked_at`. `adopted`
    limits the question to the tokens that were adopted with this fingerprint (rule 16).
    """

    attempt_id: str
    asked_at: datetime
    adopted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDue:
    """The sweep asks for a refresh if the grant would otherwise expire unused.

    Tokens with this `issued_at` are refreshed in any case: an alert waits for the result.
    """

    attempt_id: str
    issued_at: datetime | None = None


Question: TypeAlias = TokenRequested | RefreshRequested | RefreshDue
"""A caller or the sweep wants an answer, which may take a refresh (rules 1 to 3)."""
