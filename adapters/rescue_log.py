"""Rescue by log: a sealed line in this process's log, which whoever has the key ring can read."""

import json
import logging
import re
from dataclasses import replace

from adapters.sealed_records import SealedRecords
from ports.rescue import Rescued, Unread
from ports.store import UnreadableRecordError

_MARK = "oauth-callback-rescue"
_MEMBERS = re.compile(r" (\{[^{}]*\}?)")

_log = logging.getLogger(__name__)


class RescueLog:
    """Write rescue lines at the level CRITICAL, and read them out of any log they ended up in."""

    def __init__(self, records: SealedRecords) -> None:
        self._records = records

    def emit(self, rescued: Rescued) -> None:
        """Write one line. Raises nothing."""
        # Platforms cut long lines off, and what is cut off is lost.
        record = replace(rescued.record, ledger=())
        members = {
            "connection": rescued.connection,
            "expected_etag": rescued.expected_etag,
            "etag": record.etag,
            "sealed": self._records.seal_record(rescued.connection, record),
        }
        _log.critical("%s %s", _MARK, json.dumps(members))

    def read(self, line: str) -> list[Rescued | Unread]:
        """Open what follows each mark in a line."""
        # Platforms quote what a program logs in JSON of their own, and some put lines together.
        parts = line.replace("\\", "").split(_MARK)[1:]
        found = [_MEMBERS.match(part) for part in parts]
        return [self._open(_members(each[1])) for each in found if each is not None]

    def _open(self, members: object) -> Rescued | Unread:
        match members:
            case {"connection": str(connection), "etag": str(etag), "sealed": str(sealed), **rest}:
                expected = rest.get("expected_etag")
                try:
                    record = self._records.open_record(connection, etag, sealed)
                except UnreadableRecordError as error:
                    return Unread(str(error))
                return Rescued(
                    connection=connection,
                    expected_etag=expected if isinstance(expected, str) else None,
                    record=record,
                )
            case _:
                # Or of anybody's making: a proxy's log repeats what browsers call themselves.
                return Unread("a rescue line is cut off or damaged")


def _members(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
