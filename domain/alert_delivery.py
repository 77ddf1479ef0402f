"""Owed alerts, the claim to deliver them, and the results: rules 5 to 9 of `alerts.py`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from domain.alert_book import AlertBook, ChannelWait, Claim, Owed
from domain.alerts import Alert
from domain.grant import Grant, tokens_of
from domain.ledger import NOT_DELIVERED, HistoryEvent, Note
from domain.tokens import CLOCK_LOST_AFTER, MAX_CLOCK_SKEW

# A round of sends ends before that: a send may take 20 s.
LEASE = timedelta(minutes=1)
# After so many failures in a row of one channel. The delivery waits for the first one itself,
# because a function's next chance may be tomorrow's sweep.
BACKOFF = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
# A channel may ask for a longer wait than that, but gets no longer one.
LONGEST_WAIT = timedelta(hours=6)
# For a channel that this instance did not try: it failed elsewhere a moment ago.
POSTPONED = timedelta(minutes=1)
# Some hundred bytes each, in every read of the record. A connection that fails and recovers all
# the time, with a channel away, must not grow without limit.
MAX_OWED = 50
_TOO_MANY = "too many alerts"


# Rule 5: owed in the write of the change.


def owe(book: AlertBook, alerts: Sequence[Alert], now: datetime) -> AlertBook:
    """Add alerts, the newest last. Over the limit, the oldest ones are left out (rule 5)."""
    owed = (*book.owed, *(Owed(alert=alert, since=now) for alert in alerts))
    return replace(book, owed=owed[-MAX_OWED:])


# Rule 6: one instance delivers.


def is_claimed(book: AlertBook, now: datetime) -> bool:
    """Whether an instance may be delivering (rule 6). A lease far ahead is from a wrong clock."""
    claim = book.claim
    return claim is not None and now < claim.until <= now + LEASE + MAX_CLOCK_SKEW


def is_deliverable(book: AlertBook, now: datetime) -> bool:
    """Whether an instance should deliver now (rule 6)."""
    if not book.owed or is_claimed(book, now):
        return False
    # The claim of an instance that stopped: nobody knows what it has sent.
    has_stopped = book.claim is not None or not book.waits
    return has_stopped or any(not _must_wait(wait, now) for wait in book.waits)


def claimed(book: AlertBook, claim_id: str, now: datetime) -> AlertBook:
    """Give the right to deliver to an instance (rule 6)."""
    return replace(book, claim=Claim(id=claim_id, until=now + LEASE))


# Rule 7: in order, each channel for itself.


def queue(book: AlertBook, channel: str, now: datetime) -> tuple[Alert, ...]:
    """Return what this channel lacks, in order; nothing while it waits (rule 7)."""
    wait = _wait_of(book, channel)
    if wait is not None and _must_wait(wait, now):
        return ()
    return tuple(owed.alert for owed in book.owed if channel not in owed.done)


def _wait_of(book: AlertBook, channel: str) -> ChannelWait | None:
    return next((wait for wait in book.waits if wait.channel == channel), None)


def _must_wait(wait: ChannelWait, now: datetime) -> bool:
    """Whether to wait (rule 7). Longer than any wait means that a clock was ahead."""
    return now < wait.next_try_at <= now + LONGEST_WAIT + MAX_CLOCK_SKEW


# Rules 8 and 9: what a round of sends leaves.


class Result(NamedTuple):
    """The result of a channel in a round.

    - `took`: the ids of the alerts that it took.
    - `has_failed`: it refused the one after them, or did not answer. `is_gone`: for good.
    - `is_postponed`: it was not asked. `retry_after`: how long it asks to wait.
    """

    channel: str
    took: frozenset[str] = frozenset()
    has_failed: bool = False
    is_gone: bool = False
    is_postponed: bool = False
    retry_after: timedelta = timedelta(0)


Needs: TypeAlias = Callable[[Alert], AbstractSet[str]]
"""Returns the channels that an alert is for."""


class GivenUp(NamedTuple):
    """An alert that some channels never took."""

    alert: Alert
    channels: tuple[str, ...]


def given_up_note(given_up: GivenUp, grant: Grant) -> Note:
    """Return the note on an alert that was given up: its kind, and the channels (rule 9)."""
    tokens = tokens_of(grant)
    where = ", ".join(given_up.channels) or _TOO_MANY
    return Note(
        event=HistoryEvent.ALERT_GIVEN_UP,
        generation=None if tokens is None else tokens.generation,
        outcome=NOT_DELIVERED,
        quote=f"{given_up.alert.kind.value}: {where}",
        is_requested=False,
    )


def dropped(before: AlertBook | None, after: AlertBook | None) -> Iterator[GivenUp]:
    """Yield the alerts that had no room any more in a write (rule 5)."""
    if before is None:
        return
    left = set() if after is None else {owed.alert.id for owed in after.owed}
    for owed in before.owed:
        if owed.alert.id not in left:
            yield GivenUp(owed.alert, ())


class AfterRound(NamedTuple):
    """The book after a round, and what was given up."""

    book: AlertBook
    given_up: tuple[GivenUp, ...]


def after_round(
    book: AlertBook,
    results: Iterable[Result],
    needs: Needs,
    now: datetime,
    *,
    give_up_after: timedelta,
) -> AfterRound:
    """Return the book after a round of sends, without a claim (rules 7 to 9).

    `book` is the stored one, which may have newer alerts than the round.
    """
    given_up, owed = [], []
    by_channel = {result.channel: result for result in results}
    for each in (_redated(each, now) for each in book.owed):
        needed, is_old = needs(each.alert), now - each.since >= give_up_after
        took = {name for name, result in by_channel.items() if each.alert.id in result.took}
        lacking = needed - each.done - took
        ended = {name for name in lacking if _is_over(by_channel.get(name), is_old=is_old)}
        if ended:
            given_up.append(GivenUp(each.alert, tuple(sorted(ended))))
        if lacking - ended:
            owed.append(replace(each, done=each.done | took | ended))
    waits = _waits_after(book, by_channel, now)
    left = {name for each in owed for name in needs(each.alert) - each.done}
    after = replace(
        book,
        owed=tuple(owed),
        waits=tuple(wait for wait in waits if wait.channel in left),
        claim=None,
    )
    return AfterRound(after, tuple(given_up))


def _is_over(result: Result | None, *, is_old: bool) -> bool:
    """Whether a channel gets an alert no more that it did not take (rule 9)."""
    return result is not None and (result.is_gone or (result.has_failed and is_old))


def _redated(owed: Owed, now: datetime) -> Owed:
    """Return what is owed, since now if a clock was wrong (rule 9)."""
    is_ahead = owed.since > now + MAX_CLOCK_SKEW
    is_lost = owed.since < now - CLOCK_LOST_AFTER
    return replace(owed, since=now) if is_ahead or is_lost else owed


def _waits_after(
    book: AlertBook, results: Mapping[str, Result], now: datetime
) -> Iterable[ChannelWait]:
    """Return which channels wait after a round (rule 8)."""
    yield from (wait for wait in book.waits if wait.channel not in results)
    for name, result in results.items():
        before = _wait_of(book, name)
        # A channel that took one works: its failures are over.
        tries = 0 if before is None or result.took else before.tries
        if result.has_failed:
            pause = max(BACKOFF[min(tries, len(BACKOFF) - 1)], result.retry_after)
            at = now + min(pause, LONGEST_WAIT)
            yield ChannelWait(channel=name, tries=tries + 1, next_try_at=at)
        elif result.is_postponed:
            yield ChannelWait(channel=name, tries=tries, next_try_at=now + POSTPONED)


def next_send_at(book: AlertBook, needs: Needs, now: datetime) -> datetime | None:
    """Return when a channel can get what it lacks; None if none lacks anything (rule 7)."""
    left = {name for each in book.owed for name in needs(each.alert) - each.done}
    waits = (_wait_of(book, name) for name in left)
    return min((_due_at(wait, now) for wait in waits), default=None)


def _due_at(wait: ChannelWait | None, now: datetime) -> datetime:
    return wait.next_try_at if wait is not None and _must_wait(wait, now) else now
