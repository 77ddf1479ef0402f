"""Rescue by log: encrypted records as lines of this process's log."""

import json
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.sealed_records import SealedRecords
from ports.store import UnreadableRecordError

if TYPE_CHECKING:
    # A fresh token rescues nothing.
    from ports.rescue import RescuedRecord, UnreadableLine

_MARK = "oauth-callback-rescue"
# Compiled where a log is read.
_MEMBERS = r" (\{[^{}]*\}?)"

_log = logging.getLogger(__name__)


class RescueLog:
    """Writes rescue lines at level CRITICAL, and reads them from any log."""

    def __init__(self, records: SealedRecords) -> None:
        self._records = records

    def emit(self, rescued: "RescuedRecord") -> None:
        """Write one line. Raises nothing."""
        # Platforms cut long lines, so all but the grant is left out.
        record = replace(rescued.record, ledger=(), alerts=None, refreshes={}, refresh_times=())
        members = {
            "connection": rescued.connection,
            "expected_etag": rescued.expected_etag,
            "etag": record.etag,
            "sealed": self._records.seal_record(rescued.connection, record),
        }
        _log.critical("%s %s", _MARK, json.dumps(members))

    def read(self, line: str) -> "list[RescuedRecord | UnreadableLine]":
        """Decrypt the record after each mark in a line."""
        # Platforms wrap lines in their own JSON, and some join lines.
        parts = line.replace("\\", "").split(_MARK)[1:]
        found = [re.match(_MEMBERS, part) for part in parts]
        return [self._open(_members(each[1])) for each in found if each is not None]

    def _open(self, members: object) -> "RescuedRecord | UnreadableLine":
        from ports.rescue import RescuedRecord, UnreadableLine

        match members:
            case {"connection": str(connection), "etag": str(etag), "sealed": str(sealed), **rest}:
                expected = rest.get("expected_etag")
                try:
                    record = self._records.open_record(connection, etag, sealed)
                except UnreadableRecordError as error:
                    return UnreadableLine(str(error))
                return RescuedRecord(
                    connection=connection,
                    expected_etag=expected if isinstance(expected, str) else None,
                    record=record,
                )
            case _:
                # Or forged: a proxy's log repeats the User-Agent of a request.
                return UnreadableLine("a rescue line is cut off or damaged")


def _members(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
