"""The deployment's own state: its last sweep, and the channels of its alerts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from domain.ledger import DONE
from functions.alerts.deployment import DeploymentStatus, LastDelivery, load_status
from functions.endpoints.page.visit import Visit
from functions.endpoints.page.words import instant
from functions.http.look import Tone, facts, note, state_mark
from functions.http.pages import actions, text_of


async def deployment_part(visit: Visit) -> str:
    """Return the part of the page. Channels are there for a key without restrictions.

    Raises StoreUnavailableError.
    """
    status, now = await load_status(visit.wiring.store), visit.wiring.clock.now()
    sweep = _sweep(status, now, visit.wiring.alerting.thresholds.sweep_overdue)
    return f"<h2>Sweep</h2>{sweep}{_channels(visit, status, now)}"


def _sweep(status: DeploymentStatus, now: datetime, overdue_after: timedelta) -> str:
    ended_at = status.sweep_ended_at
    advice = (
        "A scheduler has to call GET /api/sweep once a day. It keeps unused logins from expiring."
    )
    if ended_at is None:
        return note(Tone.SOON, "It has not run yet", text_of(advice))
    if now - ended_at > overdue_after:
        last = f"<p>The last one ended {instant(ended_at, now)}.</p>"
        return note(Tone.BAD, "It is overdue", last + text_of(advice))
    return facts([("Last sweep", _outcome(ended_at, status.sweep_outcome or "", now))])


def _channels(visit: Visit, status: DeploymentStatus, now: datetime) -> str:
    channels = visit.wiring.alerting.channels if visit.session.is_unrestricted else ()
    if not channels:
        return ""
    rows = facts([*_deliveries([each.name for each in channels], status, now)])
    return f"<h2>Alerts</h2>{rows}{actions(visit.button('Send a test alert', 'test-alert'))}"


def _deliveries(
    names: list[str], status: DeploymentStatus, now: datetime
) -> Iterator[tuple[str, str]]:
    for name in names:
        match status.channels.get(name):
            case LastDelivery(at=at, outcome=outcome):
                yield name, _outcome(at, outcome, now)
            case None:
                yield name, '<span class="quiet">nothing sent yet</span>'


def _outcome(at: datetime, outcome: str, now: datetime) -> str:
    tone = Tone.GOOD if outcome == DONE else Tone.BAD
    return f"{instant(at, now)} {state_mark(tone, outcome.replace('-', ' '))}"
