"""`reseal`: encrypts records of older keys with the first one."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from functions.admin.command import (
    Command,
    declare_connections,
    describe_store,
    map_concurrently,
    print_note,
    printable,
    stream,
)
from functions.refresh.memory import next_etag
from functions.wiring import Wiring
from ports.store import ConflictError, Record, UnreadableRecordError

_PROGRESS_INTERVAL = 100

_DESCRIPTION = """\
Encrypts each connection's record with the first of ENCRYPTION_KEYS, unless it is already. Run it
once every instance has that key first: others encrypt with their own first key. It loses no
concurrent write, and can be run again after an interruption.

Once every record has the first key, the older keys can be removed, unless rescue lines in logs or
files of `export` still need them: those stay encrypted as they were."""


class Resealing(Enum):
    """The result of a record."""

    RESEALED = "encrypted again with the first key"
    ALREADY = "encrypted with the first key already"
    UNREADABLE = "cannot be read, and stays as it is"
    MISSING = "not stored here"


async def reseal(wiring: Wiring, connection: str) -> Resealing:
    """Encrypt one record with the first key. Raises StoreUnavailableError."""
    try:
        record = await wiring.store.load(connection)
        if record.etag is None:
            print_note(f"{printable(connection)}: no such connection is stored here")
            return Resealing.MISSING
        while record.is_sealed_by_older_key:
            try:
                await _rewrite(wiring, connection, record)
            except ConflictError as conflict:
                record = conflict.current
            else:
                return Resealing.RESEALED
    except UnreadableRecordError as error:
        print_note(str(error))
        return Resealing.UNREADABLE
    return Resealing.ALREADY


async def _rewrite(wiring: Wiring, connection: str, record: Record) -> None:
    """Store the same record again, with the next etag, also for a client that is gone.

    Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
    """
    etag = next_etag(record.etag, wiring.entropy.token())
    written = replace(record, etag=etag)
    await wiring.store.swap(connection, written, expected_etag=record.etag)


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    names = stream(options.connections) if options.connections else wiring.store.connections()
    counts = Counter[Resealing]()
    async for _, outcome in map_concurrently(names, lambda name: reseal(wiring, name)):
        counts[outcome] += 1
        if counts.total() % _PROGRESS_INTERVAL == 0:
            print_note(f"{counts.total()} records done")
    place = describe_store(wiring.settings.store)
    if not counts:
        return f"No connection is stored in {place}. Check that it is the deployment's store."
    for outcome in Resealing:
        if outcome is Resealing.MISSING and not counts[outcome]:
            continue
        print(f"{outcome.value}: {counts[outcome]}")
    return " ".join(_faults(counts, place)) or None


def _faults(counts: Counter[Resealing], place: str) -> Iterator[str]:
    if unreadable := counts[Resealing.UNREADABLE]:
        yield (
            f"{unreadable} of {counts.total()} records cannot be read. Restore the key that "
            "encrypted them, or log in again; keep the older keys until then."
        )
    if missing := counts[Resealing.MISSING]:
        yield f"{missing} of {counts.total()} connections are not stored in {place}."


COMMAND = Command(
    summary="encrypt the records of older keys with the first one",
    description=_DESCRIPTION,
    declare=declare_connections,
    run=_run,
)
