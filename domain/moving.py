"""How a grant moves from one deployment to another: rules 10 to 12 of `decide.py`.

At each instant one deployment at most uses a grant. Of two that have exchanged it, the later move
tells which one that is; and whatever has arrived, the newer tokens are kept (rule 9).
"""

from dataclasses import replace
from datetime import datetime

from domain.failures import without_lapsed_lease
from domain.grant import Grant, Kept, Moved, Refreshing, Revoked, Revoking, Tokenless, Unauthorized
from domain.policy import Policy


def hand_over(grant: Grant, policy: Policy, now: datetime) -> Grant:
    """Let go of a grant, unless an attempt is in flight: its answer belongs to who made it."""
    if isinstance(grant, Tokenless | Moved):
        return grant
    settled = without_lapsed_lease(grant, policy, now)
    return grant if isinstance(settled, Refreshing) else Moved(grant=settled, since=now)


def take_back(grant: Grant) -> Grant:
    """Use again what was handed over."""
    return grant.grant if isinstance(grant, Moved) else grant


def take_over(grant: Grant, arrived: Moved) -> Grant:
    """Take what another deployment has let go of."""
    if isinstance(grant, Unauthorized):
        return arrived.grant
    if isinstance(grant, Revoking | Revoked):
        # Rule 15: what was in a file at that time is not brought back by it.
        return arrived.grant if arrived.since > grant.at else grant
    is_newer = arrived.tokens.age > grant.tokens.age
    if isinstance(grant, Moved):
        return _meet_on_the_way(grant, arrived, is_newer=is_newer)
    return arrived.grant if is_newer else grant


def _meet_on_the_way(moved: Moved, arrived: Moved, *, is_newer: bool) -> Kept | Moved:
    if arrived.since <= moved.since:
        # It has gone on from here, or never left: a repeated export brings what is newer.
        return replace(moved, grant=arrived.grant) if is_newer else moved
    is_same_age = arrived.tokens.age == moved.tokens.age
    return arrived.grant if is_newer or is_same_age else moved.grant
