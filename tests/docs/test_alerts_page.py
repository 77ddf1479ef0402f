"""docs/alerts.md: its entries are read, its bodies are made by the code, its receiver verifies."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from adapters.alert_programs import _PASSED_ON
from domain.alerts import AlertKind, AlertThresholds
from functions.alerts.cloud_events import cloud_event
from functions.alerts.formats.program import program_run
from functions.alerts.texts import notice_of
from functions.settings.alert_kinds import KINDS
from functions.settings.alert_targets import ProgramTarget
from functions.settings.alert_thresholds import EXPIRES_SOON, REFRESH_FAILING, SWEEP_OVERDUE
from functions.settings.alerts import _COMMON
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.alert_transport import TIME_LIMIT
from tests.docs.pages import all_first_cells, block, blocks, first_cells, page
from tests.functions.alerts.messages import EXAMPLES, LINK, SECRET
from tests.functions.commands import environ_in
from tests.ports.scripted_server import answer, serving

PAGE = page("alerts.md")
BODIES = PAGE.split("## The events as JSON\n", 1)[1]
FLAT = " ".join(PAGE.split())


def test_the_events_are_those_of_the_code() -> None:
    events = [kind.value for kind in AlertKind]
    assert first_cells("## Events", PAGE) == events
    assert re.findall(r"^### `(.+)`$", BODIES, re.MULTILINE) == events


@pytest.mark.parametrize("kind", AlertKind, ids=lambda kind: kind.value)
def test_the_body_of_each_event_is_what_the_code_makes(kind: AlertKind) -> None:
    section = BODIES.split(f"### `{kind.value}`\n", 1)[1].split("\n### ", 1)[0]
    (shown,) = blocks("json", section)
    assert json.loads(shown) == json.loads(cloud_event(EXAMPLES[kind]))


def test_the_text_is_what_a_person_reads() -> None:
    notice = notice_of(EXAMPLES[AlertKind.LOGIN_NEEDED])
    text = "\n".join([notice.title, "", *notice.lines()]) + "\n"
    assert block("text", PAGE, having="Login required") == text.replace(LINK[-15:], "…")


def test_the_members_of_each_kind_are_those_of_the_code() -> None:
    channels = PAGE.split("## Channels\n", 1)[1].split("\n## ", 1)[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", channels, re.MULTILINE))
    assert set(KINDS) == set(rows) & set(KINDS)
    assert set(first_cells("## Channels", PAGE)) == set(_COMMON)
    for kind, known in KINDS.items():
        named = set(re.findall(r"`([a-z_]+)`", rows[kind].split(" | ")[0]))
        assert set(known.members) <= named, kind
    secrets = {name for kind in KINDS.values() for name in kind.secrets}
    listed = block_of("may be in a variable of their own")
    assert {f"`{name}`" for name in secrets} == set(re.findall(r"`[a-z_]+`", listed))


def block_of(words: str) -> str:
    """Return the start of the paragraph up to some words."""
    (found,) = (part for part in PAGE.split("\n\n") if words in part)
    return found.split(words)[0]


def test_the_example_can_be_used(tmp_path: Path) -> None:
    shell = block("sh", PAGE, having="ALERTS=")
    found = dict(re.findall(r"^([A-Z_]+)='?(.*?)'?$", shell, re.MULTILINE))
    environ = environ_in(tmp_path, **{name: text.replace("…", "x") for name, text in found.items()})
    alerts = Settings.from_environ(environ).alerts()
    assert alerts is not None
    assert [channel.name for channel in alerts.channels] == ["slack"]


def test_the_simple_way_and_the_receiver_fit_together(tmp_path: Path) -> None:
    found = re.findall(r"^([A-Z_]+)=", block("sh", PAGE, having="ALERT_WEBHOOK_URL"), re.MULTILINE)
    program: dict[str, Any] = {}
    exec(block("python", PAGE, having="def receive"), program)  # noqa: S102 - our own page
    with serving(answer("204 No Content")) as server:
        values = dict(zip(found, [server.endpoint, SECRET], strict=True))
        settings = Settings.from_environ(environ_in(tmp_path, **values))

        async def send() -> None:
            wiring = Wiring(settings)
            await wiring.alerting.channels[0].send(EXAMPLES[AlertKind.TEST])
            await wiring.close()

        asyncio.run(send())
    (request,) = server.requests
    headers = dict(request.headers)
    event = program["receive"](request.body, headers, SECRET)
    assert event == json.loads(cloud_event(EXAMPLES[AlertKind.TEST]))
    with pytest.raises(WebhookVerificationError):
        program["receive"](request.body + b" ", headers, SECRET)


def test_the_thresholds_are_those_of_the_code() -> None:
    defaults = AlertThresholds()
    rows = dict(re.findall(r"^\| `(ALERT_[A-Z_]+)` \|.*default `([^`]+)` \|", PAGE, re.MULTILINE))
    shown = {name: [duration(text) for text in value.split(",")] for name, value in rows.items()}
    assert shown == {
        EXPIRES_SOON: list(defaults.expires_soon),
        REFRESH_FAILING: [defaults.refresh_failing],
        SWEEP_OVERDUE: [defaults.sweep_overdue],
    }
    assert "14, 7 and 1 days before" in FLAT
    assert "has failed for an hour" in FLAT
    assert "has ended for 26 hours" in FLAT
    assert defaults.give_up_after == timedelta(days=3)
    assert "After three days the alert is given up" in FLAT


def duration(text: str) -> timedelta:
    units: Mapping[str, str] = {"h": "hours", "d": "days"}
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def test_the_variables_of_a_program_are_those_of_the_code() -> None:
    message = EXAMPLES[AlertKind.LOGIN_NEEDED]
    made = program_run(message, notice_of(message), ProgramTarget(command=("x",)))
    (paragraph,) = (part for part in PAGE.split("\n\n") if "runs without a shell" in part)
    shown = set(re.findall(r"`([A-Z_]+)`", paragraph))
    assert shown == set(made.variables) | {"PATH", "HOME"}
    assert {"PATH", "HOME"} <= set(_PASSED_ON)


def test_the_time_limit_is_that_of_the_code() -> None:
    assert timedelta(seconds=15) == TIME_LIMIT
    assert FLAT.count("15 seconds") == 3


def test_configuration_lists_the_variables_of_the_page() -> None:
    configured = set(all_first_cells(page("configuration.md")))
    assert {EXPIRES_SOON, REFRESH_FAILING, SWEEP_OVERDUE} <= configured
    assert {"ALERTS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"} <= configured
