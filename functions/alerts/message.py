"""An alert with what its reader needs: where it happened, and how to log in."""

from dataclasses import dataclass, field

from domain.alerts import Alert, AlertKind

_WITH_LINK = frozenset({AlertKind.LOGIN_NEEDED, AlertKind.EXPIRES_SOON})


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One alert, to send.

    - `connection`: None for an alert of the deployment itself.
    - `provider`: the provider's name for people, such as Digi-Key.
    - `link`: a login link, single use, where a login helps and PUBLIC_URL is set.
    - `source`: PUBLIC_URL, or None.
    """

    alert: Alert
    connection: str | None
    provider: str | None
    link: str | None = field(repr=False)
    source: str | None


def has_link(alert: Alert) -> bool:
    """Whether a login helps."""
    return alert.kind in _WITH_LINK
