"""Moves of a grant from one deployment to another: rules 10 to 12 of `decide.py`.

Tokens of an attempt or a rescue after the move (rule 11) are in `attempts.py` and `logins.py`.
At most one deployment uses a grant at any instant. If two have exchanged it, the later move decides
which one. The grant carries its count of moves, so that no clock decides which move is later.
"""

from dataclasses import replace
from datetime import datetime

from domain.commands import Effect
from domain.events import GrantArrived
from domain.failures import end_lapsed_lease
from domain.grant import (
    Active,
    Grant,
    Idle,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    last_revocation,
    place_of,
)
from domain.ledger import DONE, HistoryEvent, Note
from domain.policy import Policy

# Rule 10: hand over.


def hand_over(grant: Proven, policy: Policy, now: datetime) -> Effect:
    """Move a grant to another deployment, unless an attempt is in flight (rule 10)."""
    if isinstance(grant, Inactive | Moved):
        return Effect(grant=grant)
    idle = end_lapsed_lease(grant, policy, now)
    if isinstance(idle, Refreshing):
        return Effect(grant=grant)
    moved = Moved(grant=idle, since=now, place=place_of(idle) + 1)
    return Effect(grant=moved, note=_note(HistoryEvent.MOVED, moved))


def take_back(grant: Proven) -> Effect:
    """Use a grant here again after it was handed over (rule 10, undone)."""
    if not isinstance(grant, Moved):
        return Effect(grant=grant)
    return Effect(grant=grant.grant, note=_note(HistoryEvent.TAKEN_BACK, grant))


# Rule 12: take over.


def take_over(grant: Proven, arrived: GrantArrived, now: datetime) -> Effect:
    """Store the grant of another deployment, and its ledger, if it is later (rule 12)."""
    taken = _grant_after_arrival(grant, arrived.moved, now)
    if taken is None:
        return Effect(grant=grant)
    note = _note(HistoryEvent.IMPORTED, taken)._replace(arrived=arrived.ledger)
    return Effect(grant=taken, note=note)


def _note(event: HistoryEvent, grant: Active | Moved) -> Note:
    """Return the note on a move (rules 10 and 12)."""
    return Note(event=event, generation=grant.tokens.generation, outcome=DONE)


def _grant_after_arrival(grant: Proven, arrived: Moved, now: datetime) -> Active | Moved | None:
    """Return the grant after an arrival; None if nothing changes (rules 12 and 15)."""
    if isinstance(grant, Unauthorized | Requesting):
        return _continue_count(arrived.grant, grant, arrived)
    if isinstance(grant, Revoking | Revoked):
        # Rule 15: an export from before the revocation does not restore the grant.
        is_revoked = _was_handed_over_before(grant, arrived, now)
        return None if is_revoked else _continue_count(arrived.grant, grant, arrived)
    is_newer = arrived.tokens.age > grant.tokens.age
    if isinstance(grant, Moved):
        return _merge_moves(grant, arrived, is_newer=is_newer)
    return _continue_count(arrived.grant, grant, arrived) if is_newer else None


# Rule 15: a grant that arrives after a revocation.


def _was_handed_over_before(revoked: Revoking | Revoked, arrived: Moved, now: datetime) -> bool:
    """Whether a grant was handed over before this one was revoked, as far as is known (rule 15).

    A grant of the revoked login was. For another login two clocks decide, unless one was ahead.
    """
    if revoked.login == arrived.tokens.authorized_at:
        return True
    was_clock_ahead = revoked.login is not None and revoked.at > now
    return arrived.since <= revoked.at and not was_clock_ahead


# Rules 11 and 12: a grant that moved, and one that arrives.


def _merge_moves(moved: Moved, arrived: Moved, *, is_newer: bool) -> Active | Moved | None:
    """Return the grant after one that was handed over meets one that arrives (rules 11 and 12)."""
    if not _is_later(arrived, moved):
        # The grant has moved on from here, or never left. A later export brings newer tokens.
        return replace(moved, grant=arrived.grant) if is_newer else None
    is_same_age = arrived.tokens.age == moved.tokens.age
    return _continue_count(
        arrived.grant if is_newer or is_same_age else moved.grant, moved, arrived
    )


def _is_later(move: Moved, other: Moved) -> bool:
    """Whether a move is later than another, by the count of moves (rule 12)."""
    if move.place == other.place or 0 in {move.place, other.place}:
        # A deployment of an earlier version did not count: only the dates are left.
        return move.since > other.since
    return move.place > other.place


def _continue_count(taken: Idle, before: Grant, arrived: Moved) -> Idle:
    """Continue the higher count of the two deployments (rule 12)."""
    tokens = taken.tokens
    own = place_of(before)
    place = max(tokens.place, arrived.place, own + 1 if own else 0)
    revoked = max(tokens.revoked, last_revocation(before))
    if (place, revoked) == (tokens.place, tokens.revoked):
        return taken
    return replace(taken, tokens=replace(tokens, place=place, revoked=revoked))
