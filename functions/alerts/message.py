"""An alert with what its reader needs: where it happened, and how to log in."""

from dataclasses import dataclass, field

from domain.alerts import Alert


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
