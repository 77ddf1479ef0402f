"""The stored format of records: grants and what goes with them.

Most grants have no failure, and are read here. `states_json` has all others.
"""

import zlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from adapters.ledger_json import ledger_from_text, ledger_to_text
from adapters.stored_json import FormatError, Json, dump, load_members
from adapters.tokens_json import tokens_from_json
from domain.authorized import Authorized
from domain.ledger import MAX_REFRESH_TIMES, Ledger, RefreshCounts, RefreshTimes

if TYPE_CHECKING:
    # Most records have no alerts, and a fresh token needs one state only.
    from domain.alert_book import AlertBook
    from domain.grant import Grant

_NO_REFRESHES: RefreshCounts = MappingProxyType({})
_MILLISECOND = timedelta(milliseconds=1)
# Far more than any refresh takes.
_LONGEST_REFRESH = timedelta(hours=1) // _MILLISECOND


class StoredRecord(NamedTuple):
    """The stored members of a record, without its etag."""

    grant: "Grant"
    ledger: Ledger
    alerts: "AlertBook | None"
    refreshes: RefreshCounts
    refresh_times: RefreshTimes


def dump_record(
    grant: "Grant",
    ledger: Ledger,
    alerts: "AlertBook | None" = None,
    refreshes: RefreshCounts = _NO_REFRESHES,
    refresh_times: RefreshTimes = (),
) -> bytes:
    """Write a grant and what goes with it. Versions without these members ignore them."""
    # Imported here, because a fresh token writes nothing.
    from adapters.states_json import grant_to_json, version_of

    members = {**grant_to_json(grant)}
    if ledger:
        members["ledger"] = ledger_to_text(ledger)
    if refreshes:
        members["refreshes"] = dict(refreshes)
    if refresh_times:
        members["refresh_ms"] = [each // _MILLISECOND for each in refresh_times]
    if alerts is not None:
        from adapters.alerts_json import alerts_to_json

        members["alerts"] = alerts_to_json(alerts)
    return dump(members, version_of(grant))


def load_record(text: bytes) -> "tuple[Grant, Ledger]":
    """Read a grant and its ledger. Raises FormatError."""
    stored = load_stored(text)
    return stored.grant, stored.ledger


def load_stored(text: bytes) -> StoredRecord:
    """Read a grant and what goes with it. Raises FormatError."""
    members = load_members(text)
    try:
        # Missing in records older than ledgers.
        grant, ledger = _grant_from_json(members), ledger_from_text(members.get("ledger"))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise FormatError("the record lacks members of its version") from error
    alerts = None
    if "alerts" in members:
        # Imported here, because a fresh token seldom needs it.
        from adapters.alerts_json import alerts_from_json

        alerts = alerts_from_json(members["alerts"])
    return StoredRecord(
        grant,
        ledger,
        alerts,
        _refreshes_from_json(members.get("refreshes")),
        _refresh_times_from_json(members.get("refresh_ms")),
    )


def _refreshes_from_json(counts: object) -> RefreshCounts:
    """Read the counts. Other values must not cost the grant: the counts then start again."""
    if not isinstance(counts, Mapping):
        return {}
    return {name: number for name, number in counts.items() if isinstance(number, int)}


def _refresh_times_from_json(milliseconds: object) -> RefreshTimes:
    """Read the times of refreshes. Other values must not cost the grant: they are left out."""
    if not isinstance(milliseconds, list):
        return ()
    return tuple(
        each * _MILLISECOND
        for each in milliseconds[-MAX_REFRESH_TIMES:]
        if isinstance(each, int) and 0 <= each <= _LONGEST_REFRESH
    )


def _grant_from_json(members: Json) -> "Grant":
    if members["state"] == "authorized" and members["setbacks"] is None:
        return Authorized(tokens=tokens_from_json(members["tokens"]))
    # Imported here, because a fresh token seldom needs it.
    from adapters.states_json import grant_from_json

    return grant_from_json(members)
