"""The GitHub Action, run as a runner runs it: the step's script with its files and variables."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from oauth_callback.testing import FakeKeeper
from tests.client.real_keeper import EPOCH, SharedClock, real_keeper
from tests.functions.token_endpoint import token_endpoint
from tests.issuers import running_issuer

ACTION = Path(__file__).parents[2] / "client/action/action.yml"
KEY = "a-key-for-tests-only"
IDENTITY = "eyJub3Q.a-real.identity"
SECRETS = (KEY, IDENTITY, "token-1", "request-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A finished run of the action: its exit code, its log, the outputs and the variables."""

    code: int
    log: str
    outputs: Mapping[str, str]
    variables: Mapping[str, str]

    @property
    def readable(self) -> str:
        """The log as GitHub shows it: without the commands, and with masks."""
        masks = re.findall(r"^::add-mask::(.*)$", self.log, re.MULTILINE)
        text = re.sub(r"^::add-mask::.*\n", "", self.log, flags=re.MULTILINE)
        for mask in masks:
            text = text.replace(mask, "***")
        return text


Act = Callable[..., Step]


@pytest.fixture
def act(tmp_path: Path) -> Act:
    """Run the action with these inputs, and these variables of the runner."""

    def run(runner: Mapping[str, str] | None = None, **inputs: str) -> Step:
        action = yaml.safe_load(ACTION.read_text("utf-8"))
        [step] = action["runs"]["steps"]
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= action["inputs"].keys()
        values = {name: spec.get("default", "") for name, spec in action["inputs"].items()} | given
        files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_ENV")}
        for file in files.values():
            file.write_text("before=stays\n", "utf-8")
        completed = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_ACTION_PATH": str(ACTION.parent),
                **{name: str(path) for name, path in files.items()},
                **{name: _evaluate(text, values) for name, text in step["env"].items()},
                **(runner or {}),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.stderr == ""
        outputs = _read(files["GITHUB_OUTPUT"])
        return Step(
            code=completed.returncode,
            log=completed.stdout,
            outputs={
                name: outputs.get(re.findall(r"outputs\.([\w-]+)", spec["value"])[0], "")
                for name, spec in action["outputs"].items()
            },
            variables=_read(files["GITHUB_ENV"]),
        )

    return run


@pytest.fixture
def keeper() -> Iterator[FakeKeeper]:
    """Run a keeper."""
    with FakeKeeper(key=KEY) as running:
        yield running


@dataclass(slots=True)
class Issuer:
    """GitHub's endpoint for the identity of a job, which gets the audience that was asked for."""

    url: str = ""
    status: int = 200
    identity: Callable[[str], str] = lambda _: IDENTITY
    body: str | None = None
    audiences: list[str] = field(default_factory=list)

    @property
    def runner(self) -> dict[str, str]:
        """The variables of a job that has `id-token: write`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
        }


@contextmanager
def identities() -> Iterator[Issuer]:
    """Run an issuer."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Authorization"] == "Bearer request-token"
            [audience] = parse_qs(urlsplit(self.path).query)["audience"]
            issuer.audiences.append(audience)
            self.send_response(issuer.status)
            self.end_headers()
            signed = json.dumps({"value": issuer.identity(audience)})
            self.wfile.write((signed if issuer.body is None else issuer.body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


def test_a_key_gets_a_masked_output_and_a_variable(act: Act, keeper: FakeKeeper) -> None:
    step = act(url=keeper.url, key=KEY, connection="github", variable="GH_TOKEN", min_ttl="60")
    assert (step.code, step.readable) == (0, "")
    assert step.outputs["token"] == "github-token-1"
    assert int(step.outputs["expires-at"]) > 0
    assert step.variables == {"before": "stays", "GH_TOKEN": "github-token-1"}
    [seen] = keeper.requests
    assert seen.params == {"connection": "github", "min_ttl": "60"}


@pytest.mark.parametrize("audience", ["", "my audience&more=1"])
def test_the_identity_of_the_job_is_a_key(act: Act, audience: str) -> None:
    with identities() as issuer, FakeKeeper(key=IDENTITY) as keeper:
        step = act(issuer.runner, url=f"{keeper.url}/", audience=audience)
        assert (step.code, step.readable, step.outputs["token"]) == (0, "", "token-1")
        assert step.variables == {"before": "stays"}
        assert issuer.audiences == [audience or keeper.url]


@pytest.mark.parametrize(
    ("repository", "audience", "code", "says"),
    [
        pytest.param("acme/shop", "", 0, "", id="allowed"),
        pytest.param("acme/other", "", 78, "`repository`", id="another repository"),
        pytest.param("acme/shop", "https://other.test", 78, "`aud`", id="another audience"),
    ],
)
def test_a_deployment_accepts_the_jobs_that_its_callers_name(
    act: Act,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    repository: str,
    audience: str,
    code: int,
    says: str,
) -> None:
    now = int(EPOCH.timestamp())
    with running_issuer() as issuer, identities() as github, token_endpoint() as endpoint:
        github.identity = lambda audience: issuer.token(
            aud=audience, repository=repository, nbf=now, exp=now + 300
        )
        entry = {"name": "ci", "issuer": issuer.url, "audience": "https://keeper.test"}
        callers = json.dumps([{**entry, "claims": {"repository": "acme/shop"}}])
        clock = SharedClock(tmp_path / "clock")
        with real_keeper(clock, endpoint, monkeypatch, CALLERS=callers) as keeper:
            url = f"http://127.0.0.1:{keeper.port}"
            step = act(github.runner, url=url, audience=audience or entry["audience"])
        given = str(endpoint.given[-1]["access_token"])
        assert (step.code, step.outputs["token"]) == (code, "" if code else given)
        assert says in step.readable
        assert step.log.count("::add-mask::") == (1 if code else 2)
        assert given not in step.readable


def test_an_outage_is_waited_for(act: Act, keeper: FakeKeeper) -> None:
    keeper.fail("provider-unavailable", times=2, detail="::error::not a command")
    step = act(url=keeper.url, key=KEY)
    assert (step.code, step.outputs["token"]) == (0, "token-1")
    assert step.readable == "Next try in 1 s: ::error::not a command\n" * 2


@pytest.mark.parametrize(
    ("break_it", "inputs", "code", "says"),
    [
        pytest.param(
            lambda keeper: keeper.fail("provider-unavailable", retry_after=60),
            {"wait": "59"},
            75,
            "A scripted failure.",
            id="longer than the wait",
        ),
        pytest.param(FakeKeeper.require_login, {}, 77, "oauth-callback login", id="no login"),
        pytest.param(None, {"key": "another"}, 78, "Wrong key.", id="key"),
        pytest.param(None, {"key": ""}, 78, "id-token: write", id="neither key nor identity"),
        pytest.param(None, {"url": "http://keeper.example"}, 78, "unencrypted", id="http"),
        pytest.param(None, {"url": ""}, 78, "malformed", id="no url"),
        pytest.param(None, {"min_ttl": "5m"}, 78, "`min-ttl`", id="min-ttl"),
        pytest.param(None, {"wait": "-1"}, 78, "`wait`", id="wait"),
        pytest.param(None, {"variable": "A B"}, 78, "`variable`", id="variable"),
        pytest.param(None, {"variable": "GITHUB_PATH"}, 78, "`variable`", id="GitHub's own"),
        pytest.param(
            lambda keeper: keeper.replace("two\nlines"), {}, 78, "malformed", id="no mask"
        ),
    ],
)
def test_a_failure_is_one_error_and_hands_over_nothing(
    act: Act,
    keeper: FakeKeeper,
    *,
    break_it: Callable[[FakeKeeper], None] | None,
    inputs: dict[str, str],
    code: int,
    says: str,
) -> None:
    if break_it:
        break_it(keeper)
    step = act(**{"url": keeper.url, "key": KEY, "variable": "TOKEN", **inputs})
    assert step.code == code
    assert step.outputs["token"] == ""
    assert step.variables == {"before": "stays"}
    [line] = step.readable.splitlines()
    assert line.startswith("::error title=No access token::")
    assert says in line
    assert "link=" not in step.log


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, "{}"), (200, "[]"), (200, '{"value": 1}'), (200, "not json"), (302, "")],
)
def test_no_identity_is_an_error_that_quotes_nothing(
    act: Act, keeper: FakeKeeper, status: int, body: str
) -> None:
    with identities() as issuer:
        issuer.status, issuer.body = status, body
        step = act(issuer.runner, url=keeper.url, wait="0")
        assert step.code == 75
        assert f"no identity (status {status})" in step.readable
        assert not [secret for secret in SECRETS if secret in step.log]
        assert keeper.requests == []


def _evaluate(text: str, inputs: Mapping[str, str]) -> str:
    """Evaluate `${{ inputs.NAME }}`, the only expression there."""
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)


def _read(path: Path) -> dict[str, str]:
    """Read a file of the runner: NAME=VALUE, or NAME<<DELIMITER and lines."""
    values, lines = {}, iter(path.read_text("utf-8").splitlines())
    for line in lines:
        name, heredoc, delimiter = line.partition("<<")
        if heredoc:
            values[name] = "\n".join(iter(lambda: next(lines), delimiter))
        else:
            name, _, values[name] = line.partition("=")
    return values
