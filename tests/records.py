"""Records for a store."""

from domain.alert_book import AlertBook
from domain.grant import Grant
from domain.ledger import Ledger
from ports.store import Record


def record_of(
    grant: Grant, etag: str | None, ledger: Ledger = (), alerts: AlertBook | None = None
) -> Record:
    """Return a record, with an empty ledger unless one is given."""
    return Record(grant=grant, etag=etag, ledger=ledger, alerts=alerts)
