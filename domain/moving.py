"""How a grant moves from one deployment to another: rules 10 to 12 of `decide.py`.

At each instant one deployment at most uses a grant. Of two that have exchanged it, the later move
tells which one that is; and whatever has arrived, the newer tokens are kept (rule 9). A grant takes
the count of moves along, so that which is the later one is no question of clocks.
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
    Refreshing,
    Revoked,
    Revoking,
    Unauthorized,
    last_revocation,
    place_of,
)
from domain.ledger import DONE, HistoryEvent, Note
from domain.policy import Policy

# Rule 10: handing over.


def hand_over(grant: Grant, policy: Policy, now: datetime) -> Effect:
    """Let go of a grant, unless an attempt is in flight: its answer belongs to who made it."""
    if isinstance(grant, Inactive | Moved):
        return Effect(grant=grant)
    settled = end_lapsed_lease(grant, policy, now)
    if isinstance(settled, Refreshing):
        return Effect(grant=grant)
    moved = Moved(grant=settled, since=now, place=place_of(settled) + 1)
    return Effect(grant=moved, note=_note(HistoryEvent.MOVED, moved))


def take_back(grant: Grant) -> Effect:
    """Use again what was handed over."""
    if not isinstance(grant, Moved):
        return Effect(grant=grant)
    return Effect(grant=grant.grant, note=_note(HistoryEvent.TAKEN_BACK, grant))


# Rule 12: taking over.


def take_over(grant: Grant, arrived: GrantArrived, now: datetime) -> Effect:
    """Take what another deployment has let go of, and the ledger that it has kept."""
    taken = _taken(grant, arrived.moved, now)
    if taken is None:
        return Effect(grant=grant)
    note = replace(_note(HistoryEvent.IMPORTED, taken), arrived=arrived.ledger)
    return Effect(grant=taken, note=note)


def _note(event: HistoryEvent, grant: Active | Moved) -> Note:
    return Note(event=event, generation=grant.tokens.generation, outcome=DONE)


def _taken(grant: Grant, arrived: Moved, now: datetime) -> Active | Moved | None:
    """Return what is there once a grant has arrived; None where that changes nothing."""
    if isinstance(grant, Unauthorized):
        return _counted_on(arrived.grant, grant, arrived)
    if isinstance(grant, Revoking | Revoked):
        # Rule 15: what was in a file at that time is not brought back by it.
        is_over = _was_handed_over_before(grant, arrived, now)
        return None if is_over else _counted_on(arrived.grant, grant, arrived)
    is_newer = arrived.tokens.age > grant.tokens.age
    if isinstance(grant, Moved):
        return _meet_on_the_way(grant, arrived, is_newer=is_newer)
    return _counted_on(arrived.grant, grant, arrived) if is_newer else None


def _was_handed_over_before(revoked: Revoking | Revoked, arrived: Moved, now: datetime) -> bool:
    """Whether a grant left its deployment before this one was revoked, as far as can be told.

    The login that was revoked did. Of another login two clocks tell, unless the one was wrong.
    """
    if revoked.login == arrived.tokens.authorized_at:
        return True
    tells_nothing = revoked.login is not None and revoked.at > now
    return arrived.since <= revoked.at and not tells_nothing


def _meet_on_the_way(moved: Moved, arrived: Moved, *, is_newer: bool) -> Active | Moved | None:
    if not _is_later(arrived, moved):
        # It has gone on from here, or never left: a repeated export brings what is newer.
        return replace(moved, grant=arrived.grant) if is_newer else None
    is_same_age = arrived.tokens.age == moved.tokens.age
    return _counted_on(arrived.grant if is_newer or is_same_age else moved.grant, moved, arrived)


def _is_later(move: Moved, other: Moved) -> bool:
    if move.place == other.place or 0 in {move.place, other.place}:
        # A deployment that did not count has had it: there is nothing else to go by.
        return move.since > other.since
    return move.place > other.place


def _counted_on(taken: Idle, before: Grant, arrived: Moved) -> Idle:
    """Go on counting after whatever was counted in either place."""
    tokens = taken.tokens
    own = place_of(before)
    place = max(tokens.place, arrived.place, own + 1 if own else 0)
    revoked = max(tokens.revoked, last_revocation(before))
    if (place, revoked) == (tokens.place, tokens.revoked):
        return taken
    return replace(taken, tokens=replace(tokens, place=place, revoked=revoked))
