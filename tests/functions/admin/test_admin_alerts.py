"""`python -m functions.admin alerts test`: one line per channel, and what the doctor says."""

import json
from pathlib import Path

import pytest

from functions.admin.doctor.alerts import check_alerts
from functions.settings.settings import Settings
from tests.functions.commands import environ_in, run_admin
from tests.ports.scripted_server import answer, in_turn, serving

PATH = "/hooks/not-a-real-hook"


def entries(url: str, *names: str) -> str:
    return json.dumps([{"kind": "slack", "name": name, "url": url} for name in names])


def test_each_channel_gets_a_test_and_a_line(tmp_path: Path) -> None:
    with serving(answer("200 OK", b"ok")) as server:
        environ = environ_in(tmp_path, ALERTS=entries(server.endpoint, "ops", "owner"))
        assert run_admin(environ, "alerts", "test") == (0, "ops: sent\nowner: sent\n", "")
        assert run_admin(environ, "alerts", "test", "owner") == (0, "owner: sent\n", "")
    assert len(server.requests) == 3
    assert all("Test alert" in request.body.decode() for request in server.requests)
    # Nothing is created.
    assert list(tmp_path.iterdir()) == []


def test_a_channel_that_refuses_fails_the_command_and_says_why(tmp_path: Path) -> None:
    refusal = answer("404 Not Found", f"no_service \x1b[2J {PATH}".encode())
    with serving(in_turn([refusal] * 2)) as server:
        url = server.endpoint.replace("/token", PATH)
        environ = environ_in(tmp_path, ALERTS=entries(url, "ops"))
        status, out, error = run_admin(environ, "alerts", "test")
    assert status == 1
    assert out.startswith("ops: not sent: status 404: no_service [2J ")
    assert error == "Not sent to 1 of 1 channels.\n"
    assert "not-a-real" not in out + error


@pytest.mark.parametrize(
    ("alerts", "arguments", "said"),
    [
        pytest.param("", [], "There is no channel: set ALERTS", id="none"),
        pytest.param(
            entries("https://x.example", "ops"), ["other"], "The channels: ops.", id="unknown"
        ),
        pytest.param('[{"kind": "pager"}]', [], "entry 1: kind must be one of", id="fault"),
    ],
)
def test_without_a_channel_the_command_says_what_to_do(
    alerts: str, arguments: list[str], said: str, tmp_path: Path
) -> None:
    status, _, error = run_admin(environ_in(tmp_path, ALERTS=alerts), "alerts", "test", *arguments)
    assert status == 1
    assert said in error


def findings(folder: Path, **variables: str) -> list[str]:
    environ = environ_in(folder, **variables)
    return [
        str(each) for each in check_alerts(Settings.from_environ(environ, allows_programs=True))
    ]


def test_the_doctor_names_the_channels_and_what_keeps_alerts_from_people(tmp_path: Path) -> None:
    assert findings(tmp_path) == []
    complete = {
        "PUBLIC_URL": "https://keeper.example",
        "CRON_SECRET": "the-cron-secret-of-this-test",
    }
    found = findings(tmp_path, ALERTS=entries("https://x.example", "a", "b"), **complete)
    assert [each.split(":")[0] for each in found] == ["ok       ALERTS"]
    assert "the channels are a, b" in found[0]
    narrow = [{"kind": "command", "command": ["x"], "events": ["test"]}]
    _, *found = findings(tmp_path, ALERTS=json.dumps(narrow))
    for each, words in zip(
        found, ["connection.login-needed", "`make run`", "PUBLIC_URL", "CRON_SECRET"], strict=True
    ):
        assert each.startswith("warning  ALERTS: ")
        assert words in each
