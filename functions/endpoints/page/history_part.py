"""The history of a connection as a table, newest first."""

from collections.abc import Sequence
from html import escape

from domain.ledger import TOKENS, Entry, Ledger
from functions.endpoints.page.words import event_word


def history_part(ledger: Ledger) -> str:
    """Return the table; the headings are those of its columns for programs that read aloud."""
    rows = "".join(map(_row, reversed(ledger)))
    return (
        '<table><caption>Times are in UTC.</caption><thead><tr><th scope="col">Time</th>'
        '<th scope="col">Event</th><th scope="col">Key</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(entry: Entry) -> str:
    details = "".join(f'<br><span class="quiet">{escape(each)}</span>' for each in _details(entry))
    return (
        f'<tr><td><time datetime="{entry.at:%Y-%m-%dT%H:%M:%SZ}">{entry.at:%Y-%m-%d %H:%M:%S}'
        f"</time></td><td>{escape(event_word(entry.event))}{details}</td>"
        f"<td>{escape(entry.key_name or '-')}</td></tr>"
    )


def _details(entry: Entry) -> Sequence[str]:
    outcome = "" if entry.outcome in {TOKENS, ""} else entry.outcome.replace("-", " ")
    return [each for each in (outcome, entry.quote) if each]
