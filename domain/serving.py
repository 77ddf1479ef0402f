"""Serving a fresh access token: the part of rule 1 of `decide.py` that most questions need.

`serve_fresh` answers as `decide` does, or leaves the answer to it. It needs none of the events,
commands and states of a refresh, so a cold start does not import them.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from domain.authorized import Authorized
from domain.policy import Policy
from domain.tokens import EARLY_REFRESH_DIVISOR, MIN_TTL_DIVISOR, Tokens

if TYPE_CHECKING:
    # A fresh token needs one state only.
    from domain.grant import Grant

# Enough time for a program to use the token.
DEFAULT_MIN_TTL = timedelta(seconds=60)
# A refresh that is in flight is usually over by then.
USUAL_REFRESH = timedelta(seconds=5)


class Serve(NamedTuple):
    """Answer with the access token."""

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    tokens: Tokens


def serve_fresh(
    grant: "Grant", min_ttl: timedelta, refused: int | None, policy: Policy, now: datetime
) -> Serve | None:
    """Return the answer of rule 1 if nothing but the stored tokens decides; else None.

    None: `decide` has the answer, which may be a refresh. The arguments are those of
    `TokenRequested`.
    """
    if not is_settled(grant):
        return None
    tokens = grant.tokens
    # Rules 2 and 18.
    if tokens.grant_type is not policy.provider.grant_type or refused == tokens.public_generation:
        return None
    if not lasts(tokens, min_ttl, now) or is_near_end(tokens, policy, now):
        return None
    return Serve(tokens=tokens)


def is_settled(grant: "Grant") -> TypeGuard[Authorized]:
    """Whether there are tokens, and no refresh has failed or begun since they came."""
    return isinstance(grant, Authorized) and grant.failure_state is None


def lasts(tokens: Tokens, min_ttl: timedelta, now: datetime) -> bool:
    """Whether the access token outlives `min_ttl`, by a clock that was right (rule 1)."""
    return tokens.outlives(min_ttl, now) and not tokens.may_have_expired(now)


def is_near_end(tokens: Tokens, policy: Policy, now: datetime) -> bool:
    """Whether to refresh tokens while they are served (rule 1)."""
    if policy.provider.refresh_ends_access_token:
        return False
    return tokens.is_access_token_near_end(
        policy.refresh_early, now
    ) or tokens.is_refresh_token_near_end(now)


def next_question_at(
    tokens: Tokens, min_ttl: timedelta, policy: Policy, now: datetime
) -> datetime | None:
    """Return when a caller that got these tokens of a settled grant should ask again (rule 1).

    None if the access token does not expire. `questions.ask_again_at` is for every grant.
    """
    expiry = tokens.access_token_expiry(now)
    if expiry is None:
        return None
    return ahead(refresh_at(tokens, min_ttl, policy, now), expiry, now)


def refresh_at(
    tokens: Tokens,
    min_ttl: timedelta,
    policy: Policy,
    now: datetime,
    *,
    refreshes_early: bool = True,
) -> datetime:
    """Return when a question may begin a refresh of tokens that expire (rules 1 and 2).

    `refreshes_early`: whether one may begin while they are served.
    """
    ends = [tokens.ends_before(min_ttl, now, divisor=MIN_TTL_DIVISOR)]
    is_late = policy.provider.refresh_ends_access_token or not tokens.can_refresh(now)
    if refreshes_early and not is_late:
        early = tokens.ends_before(policy.refresh_early, now, divisor=EARLY_REFRESH_DIVISOR)
        ends += [early, tokens.refresh_token_near_end_at()]
    at = min(end for end in ends if end is not None)
    first = policy.refresh_from(tokens, now)
    return at if first is None else max(at, first)


def ahead(at: datetime, expiry: datetime, now: datetime) -> datetime:
    """Return an instant after `now`, at most the expiry: a refresh at `at` may be in flight."""
    return min(at if at > now else now + USUAL_REFRESH, expiry)
