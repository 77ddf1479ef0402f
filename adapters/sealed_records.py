"""Stored records: grants and logins, encrypted and bound to their place."""

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.grant_json import dump_record, load_stored
from adapters.sealing import DamagedError, KeyRing, SealError
from adapters.stored_json import FormatError
from ports.store import NO_ETAG, Record, UnreadableRecordError

if TYPE_CHECKING:
    # As in `ports.store`.
    from domain.authorization import PendingLogin


# Decrypted records, some kilobytes each. More connections than are busy at once.
MOST_KEPT = 100


class SealedRecords:
    """Translates between values of the domain and the text in a store.

    It keeps the last texts that it has decrypted: most reads of a token find the same one again.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        # By connection: the etag, the text, and the record in it.
        self._opened: dict[str, tuple[str, str, Record]] = {}

    def seal_record(self, connection: str, record: Record) -> str:
        """Encrypt a record, bound to its connection and etag. Elsewhere it cannot be decrypted."""
        text = dump_record(
            record.grant, record.ledger, record.alerts, record.refreshes, record.refresh_times
        )
        return self._keys.seal(text, "grant", connection, str(record.etag))

    def open_record(self, connection: str, etag: str, sealed: str) -> Record:
        """Decrypt a record. Raises UnreadableRecordError."""
        known_etag, text, record = self._opened.get(connection, ("", "", None))
        if record is not None and known_etag == etag and text == sealed:
            return record
        record = self._decrypt_record(connection, etag, sealed)
        self._opened[connection] = etag, sealed, record
        if len(self._opened) > MOST_KEPT:
            # SQLite's threads may do the same at once.
            with suppress(KeyError, RuntimeError, StopIteration):
                del self._opened[next(iter(self._opened))]
        return record

    def _decrypt_record(self, connection: str, etag: str, sealed: str) -> Record:
        try:
            text = self._keys.open(sealed, "grant", connection, etag)
            stored = load_stored(text)
        except (SealError, FormatError) as error:
            is_damaged = isinstance(error, DamagedError)
            raise _unreadable_error(connection, str(error), etag, is_damaged=is_damaged) from error
        is_older = not self._keys.is_sealed_by_first(sealed)
        return Record(
            grant=stored.grant,
            etag=etag,
            ledger=stored.ledger,
            alerts=stored.alerts,
            refreshes=stored.refreshes,
            refresh_times=stored.refresh_times,
            is_sealed_by_older_key=is_older,
        )

    def open_stored(self, connection: str, etag: object, sealed: object) -> Record:
        """Decrypt a stored value of any type.

        Raises UnreadableRecordError.
        """
        if isinstance(etag, str) and isinstance(sealed, str):
            return self.open_record(connection, etag, sealed)
        there = etag if isinstance(etag, str) else NO_ETAG
        raise _unreadable_error(connection, "it is not text", there, is_damaged=True)

    def open_listed(
        self, connection: str, etag: object, sealed: object
    ) -> Record | UnreadableRecordError:
        """Decrypt one of many stored values. Return the error, which concerns no other value."""
        try:
            return self.open_stored(connection, etag, sealed)
        except UnreadableRecordError as error:
            return error

    def seal_login(self, key: str, pending: "PendingLogin") -> str:
        """Encrypt a login, bound to its key."""
        from adapters.login_json import dump_login

        return self._keys.seal(dump_login(pending), "login", key)

    def open_login(self, key: str, sealed: object, *, now: datetime) -> "PendingLogin | None":
        """Decrypt a login. Return None if it cannot be read or has expired.

        The store's own expiry is ignored: it is not authenticated.
        """
        from adapters.login_json import load_login

        if not isinstance(sealed, str):
            return None
        try:
            pending = load_login(self._keys.open(sealed, "login", key))
        except (SealError, FormatError):
            return None
        return pending if pending.is_valid(now) else None


def _unreadable_error(
    connection: str, why: str, etag: str, *, is_damaged: bool
) -> UnreadableRecordError:
    text = f"the stored record of connection {connection!r} cannot be read: {why}"
    return UnreadableRecordError(text, etag=etag, is_damaged=is_damaged)
