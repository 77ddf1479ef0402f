"""Alerts as a deployment has them: by its own wiring, over its own store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.alerts import AlertKind
from domain.grant import AuthorizationRequired, Cause
from functions.alerts.deployment import load_status, record_sweep
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.alerts.test_sweep_watch import Chat
from tests.functions.conftest import environ_for
from tests.functions.grants import over
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

pytestmark = pytest.mark.anyio

NAMES = ["a", "b", "c"]
LOST = AuthorizationRequired(
    tokens=over().tokens,
    cause=Cause.REFRESH_TOKEN_REJECTED,
    client="client",
    since=datetime.now(UTC),
)


class Anything(Chat):
    """A channel that takes any alert."""

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        return kind is not AlertKind.TEST or connection is not None

    def heard(self) -> list[tuple[AlertKind, str | None]]:
        return sorted(((each.alert.kind, each.connection) for each in self.got), key=str)


class WithChat(Wiring):
    """A deployment with a channel."""

    chat: Anything


@pytest.fixture
async def wiring(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> AsyncIterator[WithChat]:
    wired = WithChat(Settings.from_environ(environ_for(running_digikey, tmp_path)))
    wired.chat = Anything()
    vars(wired.alerting)["channels"] = (wired.chat,)
    for name in NAMES:
        await wired.store.swap(name, record_of(LOST, "first"), expected_etag=None)
    yield wired
    await wired.finish()
    await wired.close()


async def test_the_first_sweep_finds_what_was_owed_before_there_were_channels(
    wiring: WithChat,
) -> None:
    for _ in range(2):
        await wiring.sweep.run()
        assert wiring.chat.heard() == [(AlertKind.LOGIN_NEEDED, name) for name in NAMES]
    status = await load_status(wiring.store)
    assert status.channels.keys() == {"chat"}


async def test_a_refresh_finds_out_that_the_sweep_is_overdue(
    wiring: WithChat,
) -> None:
    await record_sweep(
        wiring.store,
        wiring.entropy,
        ended_at=datetime.now(UTC) - timedelta(hours=27),
        outcome="done",
        deliveries={},
    )
    await wiring.store.swap("used", record_of(over(), "first"), expected_etag=None)
    client = wiring.client_of("used")
    for _ in range(2):
        await client.keeper.refresh("used")
        await wiring.finish()
    overdue = [each for each in wiring.chat.got if each.alert.kind is AlertKind.SWEEP_OVERDUE]
    assert [(each.connection, each.provider, each.link) for each in overdue] == [(None, None, None)]
