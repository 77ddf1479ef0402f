"""Rescue by log: a sealed line in this process's log, which whoever has the key ring can read."""

import json
import logging
import re
from dataclasses import replace

from adapters.sealed_records import SealedRecords
from ports.rescue import Rescued

_MARK = "oauth-callback-rescue"
# Platforms quote what a program logs in JSON of their own.
_LINE = re.compile(_MARK + r" (?P<members>\{[^{}]*\})")

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

    def read(self, line: str) -> Rescued | None:
        """Open the record in a line. Raises UnreadableRecordError."""
        found = _LINE.search(line.replace("\\", ""))
        # A log has lines of anybody's making: a proxy's repeats what browsers call themselves.
        match found and _members(found["members"]):
            case {"connection": str(connection), "etag": str(etag), "sealed": str(sealed), **rest}:
                expected = rest.get("expected_etag")
                return Rescued(
                    connection=connection,
                    expected_etag=expected if isinstance(expected, str) else None,
                    record=self._records.open_record(connection, etag, sealed),
                )
            case _:
                return None


def _members(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
