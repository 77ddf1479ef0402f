"""The stored format of a ledger: a compressed list, so that a long history costs little."""

import json
import zlib
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

from domain.ledger import Entry, HistoryEvent, Ledger


def ledger_to_text(ledger: Ledger) -> str:
    """Write the entries, compressed to a fifth, because each token request reads them.

    They are compressed without the tokens, whose content the length could reveal.
    """
    rows = [_entry_to_json(entry) for entry in ledger]
    return b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode())).decode()


def ledger_from_text(text: str | None) -> Ledger:
    """Read the entries. Skip entries of a later version: they must not cost the grant.

    Raises ValueError, TypeError, zlib.error.
    """
    if text is None:
        return ()
    rows = json.loads(zlib.decompress(b64decode(text)))
    return tuple(entry for entry in map(_entry_from_json, rows) if entry is not None)


def _entry_to_json(entry: Entry) -> tuple[Any, ...]:
    # Earlier versions skip entries with a quote, and read all others.
    rest = entry[2:] if entry.quote is not None else entry[2:-1]
    return int(entry.at.timestamp()), entry.event.value, *rest


def _entry_from_json(row: list[Any]) -> Entry | None:
    try:
        at, event, *rest = row
        at = datetime.fromtimestamp(at, UTC)
        return Entry(at, HistoryEvent(event), *rest)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
