"""The commands and programs of README.md, docs/http.md and docs/operating.md run unchanged.

They share one server of `make run`. The first tests run before a login.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.pages import README, ROOT, block, blocks, page, run_python
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http
from tests.system.simulated_digikey import press

HTTP, OPERATING = page("http.md"), page("operating.md")
# Records the requests of a program, and their statuses.
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A new server: nobody has logged in."""
    with local_server(tmp_path_factory.mktemp("newcomer")) as running:
        yield running


@pytest.fixture(scope="module")
def logged_in(server: LocalServer) -> LocalServer:
    """The server after a login."""
    log_in(server)
    return server


def log_in(server: LocalServer) -> None:
    """Log in as a person does."""
    begun = http.post(f"{server.address}/api/login", headers={"x-api-key": server.api_key})
    callback = press(begun.raise_for_status().json()["authorization_url"], "allow")
    page = http.get(callback, headers={"accept": "text/html"})
    assert "Logged in" in page.text, page.text


def let_expire(server: LocalServer, *, fault: str) -> None:
    """Log in, and wait until the access token has expired. The next refresh has a fault."""
    _control(server, {"lifetimes": {"access_token": 2}, "clear_faults": True})
    log_in(server)
    _control(server, {"lifetimes": {"access_token": 1800}, "faults": [fault]})
    time.sleep(2.1)


def _control(server: LocalServer, change: dict[str, object]) -> None:
    answer = http.post(f"{server.address}/simulated-digikey/_control", json=change)
    assert answer.status_code == httpx.codes.OK, answer.text


def environ(server: LocalServer) -> dict[str, str]:
    """Return the variables that the commands and programs of the pages read."""
    return {"API_KEY": server.api_key, "PUBLIC_URL": server.address}


def run(program: str, server: LocalServer) -> tuple[Any, list[object]]:
    """Run the README's program and more code after it. Return its `result` and `asked`."""
    end = "import json\nprint(json.dumps([result, asked]))"
    printed = run_python(f"{LISTEN}\n{PROGRAM}\n{program}\n{end}", environ(server))
    result, asked = json.loads(printed)
    return result, asked


def test_without_a_login_the_program_is_given_a_link_to_one(server: LocalServer) -> None:
    (why, link), asked = run(
        "try:\n    AccessToken().get()\nexcept LoginRequired as error:\n    result = error.args",
        server,
    )
    assert "Nobody has logged in" in why
    assert "<button" in http.get(link, headers={"accept": "text/html"}).text
    assert asked == [["GET", "token", 401]]


def test_without_a_login_the_job_fails_and_prints_why(server: LocalServer) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        in_a_job(server)
    assert "Nobody has logged in" in failed.value.output


def in_a_job(server: LocalServer) -> str:
    return server.shell(f'{IN_CI}\necho "$token"', environ(server)).strip()


def test_the_line_of_a_crontab_sweeps(server: LocalServer) -> None:
    line = block("text", OPERATING, having="curl")
    command = " ".join(line.split()[5:])
    # The server of `make run` has no secret for it. The job fails, and shows why.
    with pytest.raises(subprocess.CalledProcessError) as failed:
        server.shell(command.replace("https://example.org", server.address), {})
    assert "CRON_SECRET is not set" in failed.value.output


def test_a_key_is_made_as_the_page_says(server: LocalServer) -> None:
    command = block("sh", OPERATING, having="keys new").replace("NAME", "ci")
    there = command.replace(".venv/bin/python", sys.executable)
    entry = server.shell(f"{there.strip()} 2>&1 >/dev/null", {"PYTHONPATH": str(ROOT)})
    assert '{"name": "ci", "sha256": "' in entry


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
    shown = http.get(press(authorization_url.group(1), "allow"), headers={"accept": "text/html"})
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


def test_the_history_looks_as_the_page_shows_it(logged_in: LocalServer) -> None:
    command = block("sh", OPERATING, having="history")
    told = json.loads(logged_in.shell(command, environ(logged_in)))["history"]
    (example,) = blocks("json", OPERATING)
    assert list(told[-1]) == list(json.loads(f"{{{example}}}")["history"][-1])
    assert (told[-1]["event"], told[-1]["outcome"]) == ("login", "tokens")


def test_the_command_and_the_short_program_get_a_token(logged_in: LocalServer) -> None:
    curl = block("sh", HTTP, having="min_ttl")
    assert '"access_token"' in logged_in.shell(curl, environ(logged_in))
    python = block("python", HTTP, having="httpx")
    token = run_python(f"{python}\nprint(access_token())", environ(logged_in)).strip()
    assert logged_in.token_works(token)


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


def test_the_step_of_a_job_waits_masks_a_token_and_hands_it_on(
    logged_in: LocalServer, tmp_path: Path
) -> None:
    let_expire(logged_in, fault="unavailable")
    yaml = block("yaml", HTTP, having="GITHUB_ENV")
    step = "\n".join(line.strip() for line in yaml.partition("  env:")[0].splitlines()[1:])
    handed_on = tmp_path / "env"
    job = {"GITHUB_ENV": str(handed_on), "RUNNER_TEMP": str(tmp_path)}
    said = logged_in.shell(step, environ(logged_in) | job)
    token = handed_on.read_text().removeprefix("ACCESS_TOKEN=").strip()
    assert logged_in.token_works(token)
    assert said == f"::add-mask::{token}\n"
