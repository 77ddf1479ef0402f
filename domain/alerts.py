"""Alerts: what people should hear of a connection, and of the deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum


class AlertKind(Enum):
    """What happened. The value is the event's type for programs."""

    LOGIN_NEEDED = "connection.login-needed"
    EXPIRES_SOON = "connection.expires-soon"
    RECOVERED = "connection.recovered"
    CLIENT_REFUSED = "connection.client-refused"
    REFRESH_FAILING = "connection.refresh-failing"
    ACCOUNT_CHANGED = "connection.account-changed"
    ROLLED_BACK = "connection.rolled-back"
    TOKENS_RESCUED = "tokens.rescued"
    SWEEP_OVERDUE = "sweep.overdue"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. `id` stays the same in every delivery.

    - `cause`: why a login is needed, or how refreshes fail, as in `GET /api/verify`.
    - `since`: since when that is so. `expires_at`: when the login ends, where that is known.
    - `account`: the account's label. `quote`: the provider's answer.
    """

    id: str
    kind: AlertKind
    at: datetime
    cause: str | None = None
    since: datetime | None = None
    expires_at: datetime | None = None
    account: str | None = None
    quote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """When time alone owes an alert.

    - `expires_soon`: this long before a login ends that no refresh can prolong, the longest first.
    - `refresh_failing`: after failures for this long.
    - `sweep_overdue`: after this long without a sweep. A day and a margin for late schedulers.
    - `give_up_after`: an alert that no channel took is given up after this long.
    """

    expires_soon: Sequence[timedelta] = (
        timedelta(days=14),
        timedelta(days=7),
        timedelta(days=1),
    )
    refresh_failing: timedelta = timedelta(hours=1)
    sweep_overdue: timedelta = timedelta(hours=26)
    give_up_after: timedelta = timedelta(days=3)
