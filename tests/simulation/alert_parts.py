"""The alerts of an instance by the application's own wiring, with simulated channels."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

from domain.alerts import Alert
from domain.grant import Grant
from functions.alert_wiring import AlertWiring
from functions.alerts.message import AlertMessage
from ports.clock import Clock
from ports.entropy import Entropy

if TYPE_CHECKING:
    from functions.login.links import LoginLinks
    from functions.settings.settings import Settings
    from tests.simulation.alert_world import AlertWorld


class SimulatedAlerting(AlertWiring):
    """The parts of one instance. It has no settings: its world has the channels."""

    def __init__(self, world: "AlertWorld", clock: Clock, entropy: Entropy) -> None:
        super().__init__(
            cast("Settings", None),
            store=world.store,
            clock=clock,
            entropy=entropy,
            links=lambda: cast("LoginLinks", None),
            provider_of=str,
            to_close=AsyncExitStack(),
        )
        vars(self).update(
            channels=tuple(world.channels) if world.has_alerts else (),
            thresholds=world.thresholds,
            _is_configured=world.has_alerts,
        )

    async def _compose(self, connection: str, grant: Grant, alert: Alert) -> AlertMessage:
        """Make a message, which needs no login link here."""
        del grant
        return AlertMessage(
            alert=alert, connection=connection, provider=None, link=None, source=None
        )
