"""Records for a store."""

from domain.grant import Grant
from domain.ledger import Ledger
from ports.store import Record


def record_of(grant: Grant, etag: str | None, ledger: Ledger = ()) -> Record:
    """Make a record; nothing is told of how it has come to that, unless a ledger is given."""
    return Record(grant=grant, etag=etag, ledger=ledger)
