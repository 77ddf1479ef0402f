"""`reseal`: what an older key of the ring has sealed is sealed with the first one."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from enum import Enum

from functions.admin.command import (
    Command,
    declare_connections,
    do_for_each,
    named,
    place_of,
    printable,
    say,
)
from functions.wiring import Wired
from ports.store import ConflictError, UnreadableRecordError

_TELL_EVERY = 100

_DESCRIPTION = """\
Seals each connection's record anew with the first of ENCRYPTION_KEYS, unless it is so already. Run
it once every instance has that key as its first one: one that has another seals with that. What
others write meanwhile is not lost. Where it has ended in the middle, run it again: what is done is
not done twice.

Once this says that all are sealed with the first key, the older ones can be taken out of the ring,
unless there are logs whose rescue lines have not been replayed, or files of `export`: those stay
sealed as they were."""


class Resealing(Enum):
    """What became of a record."""

    RESEALED = "sealed anew"
    ALREADY = "sealed with the first key already"
    UNREADABLE = "cannot be read, and stays as it is"
    MISSING = "not stored here"


async def reseal(wired: Wired, connection: str) -> Resealing:
    """Seal one record with the first key, whoever else writes. Raises StoreUnavailableError."""
    try:
        record = await wired.store.load(connection)
        if record.etag is None:
            say(f"{printable(connection)}: no such connection is stored here")
            return Resealing.MISSING
        while record.is_sealed_by_older_key:
            try:
                await wired.recorder.rewrite(connection, record)
            except ConflictError as conflict:
                record = conflict.current
            else:
                return Resealing.RESEALED
    except UnreadableRecordError as error:
        say(str(error))
        return Resealing.UNREADABLE
    return Resealing.ALREADY


async def _run(wired: Wired, options: Namespace) -> str | None:
    names = named(options.connections) if options.connections else wired.store.connections()
    counts = Counter[Resealing]()
    async for _, outcome in do_for_each(names, lambda name: reseal(wired, name)):
        counts[outcome] += 1
        if counts.total() % _TELL_EVERY == 0:
            say(f"{counts.total()} records are looked at")
    place = place_of(wired.settings.store)
    if not counts:
        return f"No connection is stored in {place}: is that the deployment's store?"
    for outcome in Resealing:
        if outcome is Resealing.MISSING and not counts[outcome]:
            continue
        print(f"{outcome.value}: {counts[outcome]}")
    return " ".join(_faults(counts, place)) or None


def _faults(counts: Counter[Resealing], place: str) -> Iterator[str]:
    if unreadable := counts[Resealing.UNREADABLE]:
        yield (
            f"{unreadable} of {counts.total()} records cannot be read: put back the key that they "
            "were sealed with, or log in anew; keep the older keys until then."
        )
    if missing := counts[Resealing.MISSING]:
        yield f"{missing} of {counts.total()} connections are not stored in {place}."


COMMAND = Command(
    summary="seal with the first key what an older one has sealed",
    description=_DESCRIPTION,
    declare=declare_connections,
    run=_run,
)
