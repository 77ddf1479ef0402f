"""The README: its commands and its program are run as they stand, its tables held to the code."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.authorization import LOGIN_LIFETIME
from domain.login_link import LINK_LIFETIME
from domain.provider import PRESETS
from domain.token_endpoint import TokenResponse
from domain.tokens import Tokens
from functions.asgi import ROUTES
from functions.refresh.status import FAILING_FOR_LONG
from functions.settings.settings import Settings
from infra.local.digikey import DEFAULT_PREFIX
from tests.docs.conftest import let_expire
from tests.docs.pages import README, all_first_cells, block, blocks, first_cells, page, run_python
from tests.system.local_server import LocalServer
from tests.system.simulated_digikey import press

# Asked through this, a program says at its end what it has asked for and what was answered.
LISTEN = """
import requests
_send, asked = requests.request, []
def _recorded(method, url, **options):
    response = _send(method, url, **options)
    asked.append([method, url.rpartition("/")[2], response.status_code])
    return response
requests.request = _recorded
"""
PROGRAM = block("python", README, having="class AccessToken")
IN_CI = block("sh", README, having="--fail-with-body")


def run(program: str, server: LocalServer) -> tuple[Any, list[object]]:
    """Run the README's program and more after it; return what `result` is then, and `asked`."""
    environ = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
    end = "import json\nprint(json.dumps([result, asked]))"
    printed = run_python(f"{LISTEN}\n{PROGRAM}\n{program}\n{end}", environ)
    result, asked = json.loads(printed)
    return result, asked


def test_the_page_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_without_a_login_the_program_is_given_a_link_to_one(server: LocalServer) -> None:
    (why, link), asked = run(
        "try:\n    AccessToken().get()\nexcept LoginRequired as error:\n    result = error.args",
        server,
    )
    assert "Nobody has logged in" in why
    assert "<button" in httpx.get(link, headers={"accept": "text/html"}).text
    assert asked == [["GET", "token", 401]]


def test_without_a_login_the_job_fails_and_prints_why(server: LocalServer) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        in_a_job(server)
    assert "Nobody has logged in" in failed.value.output


def in_a_job(server: LocalServer) -> str:
    environ = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
    return server.shell(f'{IN_CI}\necho "$token"', environ).strip()


def test_the_commands_lead_from_nothing_to_a_token(server: LocalServer) -> None:
    log_in, get_token, verify = (
        command
        for each in blocks("sh")
        for command in each.splitlines()
        if command.startswith("curl") and "localhost:8000" in command
    )
    assert '"status":401' in server.shell(get_token)
    authorization_url = re.search(
        r'^ *"authorization_url":"([^"]+)",$', server.shell(log_in), re.MULTILINE
    )
    assert authorization_url is not None
    shown = httpx.get(press(authorization_url.group(1), "allow"), headers={"accept": "text/html"})
    assert "Logged in" in shown.text
    answer = json.loads(server.shell(get_token))
    (example,) = blocks("json")
    assert list(answer) == list(json.loads(example))
    assert server.token_works(answer["access_token"])
    assert '"state":"fresh"' in server.shell(verify)


def test_the_server_prints_the_same_commands(server: LocalServer) -> None:
    commands = re.findall(r"curl .*", server.greeting)
    documented = [
        line for each in blocks("sh") for line in each.splitlines() if "localhost:8000" in line
    ]
    there = [command.replace(server.address, "http://localhost:8000") for command in commands]
    assert there == [line for line in documented if line.startswith("curl")]


def test_the_threads_of_the_program_share_one_token(logged_in: LocalServer) -> None:
    tokens, asked = run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "token = AccessToken()\n"
        "with ThreadPoolExecutor(8) as threads:\n"
        "    result = list(threads.map(lambda _: token.get(), range(40)))",
        logged_in,
    )
    assert isinstance(tokens, list)
    assert len(set(tokens)) == 1
    assert logged_in.token_works(tokens[0])
    assert asked == [["GET", "token", 200]]


def test_the_program_has_a_token_replaced_that_the_api_rejects(logged_in: LocalServer) -> None:
    _, asked = run(
        "token = AccessToken()\n"
        "token.replace('another')\n"
        "first = token.get()\n"
        "token.replace(first)\n"
        "result = token.get()",
        logged_in,
    )
    assert asked == [["GET", "token", 200], ["POST", "refresh", 200], ["GET", "token", 200]]


def test_the_program_waits_as_long_as_a_503_says(logged_in: LocalServer) -> None:
    let_expire(logged_in, fault="unavailable")
    (token, seconds), asked = run(
        "began = time.time()\nresult = [AccessToken().get(), time.time() - began]", logged_in
    )
    assert asked == [["GET", "token", 503], ["GET", "token", 200]]
    assert seconds >= 1
    assert logged_in.token_works(token)


def test_the_job_waits_as_long_as_a_503_says(logged_in: LocalServer) -> None:
    let_expire(logged_in, fault="unavailable")
    assert logged_in.token_works(in_a_job(logged_in))


def test_the_times_are_those_of_the_code() -> None:
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    response = TokenResponse(
        access_token="access",
        token_type="Bearer",
        expires_in=None,
        refresh_token="refresh",
        refresh_token_expires_in=None,
        scope=None,
    )
    digikey = PRESETS["digikey"]
    tokens = Tokens.first(response, generation=0, issued_at=begin, provider=digikey)
    assert tokens.keep_alive_at() == begin + timedelta(days=90 - 30)
    assert "it refreshes when 30 days are left" in README
    assert timedelta(hours=1) == FAILING_FOR_LONG
    assert "after one hour without tokens" in README
    assert timedelta(minutes=10) == LOGIN_LIFETIME
    assert "valid for ten minutes" in README
    assert timedelta(hours=24) == LINK_LIFETIME
    assert "single use, valid for 24 hours" in README


def test_the_variables_of_each_provider_can_be_used(tmp_path: Path) -> None:
    table = README.split("## Your provider\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|`]+) \| (.*) \|$", table, re.MULTILINE)
    settings = {name.strip(): settings_of(row, tmp_path) for name, row in rows[1:]}
    assert list(settings) == ["Digi-Key", "Google", "GitHub", "any other"]
    assert settings["Digi-Key"].provider.name == "digikey-sandbox"
    assert settings["GitHub"].provider.refresh_ends_access_token
    assert settings["Google"].provider.replay_is_harmless


def settings_of(row: str, folder: Path) -> Settings:
    given = dict(re.findall(r"`([A-Z_]+)=([^`]+)`", row))
    given = {name: value.replace("…", "read") for name, value in given.items()}
    if "`ISSUER`" in row:
        given["ISSUER"] = "https://login.example"
    return Settings.from_environ(
        {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "secret",
            "API_KEY": "the-api-key-of-this-test",
            "SQLITE_PATH": str(folder / "grants.sqlite"),
            **given,
        }
    )


def test_the_variables_are_those_that_most_deployments_need() -> None:
    named = set(first_cells("## Environment variables", README))
    assert named < set(all_first_cells(page("configuration.md")))


def test_the_endpoints_listed_are_the_ones_there_are() -> None:
    listed = {tuple(cell.split()) for cell in first_cells('## Endpoints <a id="http"></a>', README)}
    there = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert listed == {(method, path) for method, path in there if method != "HEAD"}


def test_the_simulation_is_where_the_readme_says() -> None:
    assert f"http://localhost:8000{DEFAULT_PREFIX}/" in README
