"""The deployment's own state: its last sweep, and the channels of its alerts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.ledger import DONE
from functions.alerts.deployment import DeploymentStatus, LastDelivery, load_status
from functions.endpoints.page.visit import Visit
from functions.endpoints.page.words import instant
from functions.http.look import Tone, facts, note, state_mark
from functions.http.pages import text_of

# A day, and a margin for late schedulers.
SWEEP_OVERDUE = timedelta(hours=26)


async def deployment_part(visit: Visit) -> str:
    """Return the part of the page. Channels are there for a key without restrictions.

    Raises StoreUnavailableError.
    """
    status, now = await load_status(visit.wiring.store), visit.wiring.clock.now()
    channels = _channels(status, now) if is_unrestricted(visit) else ""
    return f"<h2>Sweep</h2>{_sweep(status, now)}{channels}"


def is_unrestricted(visit: Visit) -> bool:
    """Whether the key is for all connections and endpoints, as an operator's is."""
    return visit.session.key.connections is None and visit.session.key.endpoints is None


def _sweep(status: DeploymentStatus, now: datetime) -> str:
    ended_at = status.sweep_ended_at
    advice = (
        "A scheduler has to call GET /api/sweep once a day. It keeps unused logins from expiring."
    )
    if ended_at is None:
        return note(Tone.SOON, "It has not run yet", text_of(advice))
    if now - ended_at > SWEEP_OVERDUE:
        last = f"<p>The last one ended {instant(ended_at, now)}.</p>"
        return note(Tone.BAD, "It is overdue", last + text_of(advice))
    return facts(_outcome("Last sweep", ended_at, status.sweep_outcome or "", now))


def _channels(status: DeploymentStatus, now: datetime) -> str:
    if not status.channels:
        return ""
    rows = [
        row for name, last in sorted(status.channels.items()) for row in _delivery(name, last, now)
    ]
    return f"<h2>Alerts</h2>{facts(rows)}"


def _delivery(name: str, last: LastDelivery, now: datetime) -> Sequence[tuple[str, str]]:
    return _outcome(name, last.at, last.outcome, now)


def _outcome(name: str, at: datetime, outcome: str, now: datetime) -> Sequence[tuple[str, str]]:
    tone = Tone.GOOD if outcome == DONE else Tone.BAD
    word = "done" if outcome == DONE else outcome.replace("-", " ")
    return [(name, f"{instant(at, now)} {state_mark(tone, word)}")]
