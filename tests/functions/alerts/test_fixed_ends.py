"""An idle login that no refresh prolongs: the sweep finds that out before each threshold."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.grant import Authorized
from tests.domain.examples import DAY, RESPONSE, SECOND, T0, TOKENS
from tests.functions.alerts.alert_rig import AlertRig, ListedChannel, alert_rig

pytestmark = pytest.mark.anyio

LIFE = 16 * DAY
IDLE = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=T0 + LIFE))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlertRig]:
    async with alert_rig(tmp_path, at=T0) as made:
        yield made


async def sweep_daily(rig: AlertRig, *, left: timedelta, channels: int) -> list[str]:
    """Sweep once a day; return refreshes and alerts, by the days before the end of the login."""
    chat = ListedChannel("chat")
    instance = rig.instance(*[chat][:channels])
    await instance.change(IDLE)
    seen: list[str] = []
    for day in range(LIFE // DAY):
        # In whole seconds, which is not the same instant each time.
        stated = left - day * DAY - day % 2 * SECOND
        instance.server.answer(replace(RESPONSE, refresh_token_expires_in=stated))
        requests, taken = len(instance.server.requests), len(chat.took)
        await instance.sweep.run()
        await instance.finish()
        seen += [f"{LIFE // DAY - day}: refresh"] * (len(instance.server.requests) - requests)
        seen += [f"{LIFE // DAY - day}: {kind.name}" for kind in chat.kinds_taken[taken:]]
        rig.move(DAY)
    return seen


@pytest.mark.parametrize(
    ("left", "channels", "seen"),
    [
        pytest.param(
            LIFE,
            1,
            ["7: refresh", "7: EXPIRES_SOON", "2: refresh", "1: refresh", "1: EXPIRES_SOON"],
            id="fixed",
        ),
        pytest.param(LIFE, 0, ["5: refresh", "2: refresh", "1: refresh"], id="without-alerts"),
        pytest.param(60 * DAY, 1, ["7: refresh"], id="prolonged"),
    ],
)
async def test_an_idle_login_is_refreshed_when_a_threshold_comes(
    rig: AlertRig, left: timedelta, channels: int, seen: list[str]
) -> None:
    assert await sweep_daily(rig, left=left, channels=channels) == seen
