"""Alerts: what people should hear of a connection, and of the deployment.

Conditions, in `alert_conditions.py` (1), `alert_expiries.py` (2) and `alert_changes.py` (3, 4):

(1) Trouble. A connection has one kind at a time.
    - Login needed: a person has to log in (`questions.missing_authorization`), or the provider
      refuses the refresh token for now. Not before a first login, after a revocation, or for a
      grant that moved. An access token without a refresh token is good until it expires.
    - Client refused: the provider refuses the client's credentials or its settings.
    - Refresh failing: refreshes fail, for any other reason, for longer than the threshold.
    The first two stay while refreshes fail for any reason: nothing shows their end.
(2) Expires soon: a login ends that no refresh prolongs. It is owed once for each threshold, the
    longest first. Of several at once only the shortest is owed. A threshold counts if the login
    lasts twice as long. The end is one of these
    - `Tokens.login_end`;
    - an expiry of the refresh token that a refresh has left as it was, but for the rounding;
    - the expiry of an access token that has no refresh token.
    Where nobody knows whether a refresh prolongs it, the sweep refreshes when a threshold comes.
(3) A condition that begins owes its alert. Trouble that ends owes `recovered`, which names it.
    Trouble that another kind replaces does not, nor does a revocation or a move.
    Trouble ends with other tokens only, and a login's expiry counts once. So instances whose clocks
    differ a little do not alternate. A condition that a clock ahead has found is judged again.
(4) A refresh in flight, and an adoption before its proof, begin and end nothing.
    Account changed, rolled back and tokens rescued are owed by the change itself.

Delivery, in `alert_delivery.py`, of the alerts in the `alert_book.py` of a record:

(5) An alert is stored in the write of its change, with an id that never changes.
(6) One instance delivers: it has the claim of the record, a lease. The writer of a change takes it
    in the same write. An instance without it sends nothing.
(7) Each channel gets the alerts of a connection in order. One that fails stops there, and delays no
    other.
(8) A channel that took an alert is marked after that, so that it gets each at least once. One that
    failed waits, longer each time.
(9) An alert is given up for a channel that fails when it is three days old, and for a channel that
    is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class AlertKind(Enum):
    """The kind of an alert. The value is the event's type for programs."""

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
    account: str | None = field(default=None, repr=False)
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
