"""Lambda's settings from a secret: read, read again, and the messages where that fails."""

import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from adapters.store_sqlite import SqliteStore
from functions.aws.api import HttpHandler
from functions.aws.events import UnknownEventError
from functions.aws.secret import VARIABLES, with_secret
from functions.aws.settings import FAULT_FOR, STALE_FOR, VALID_FOR, InstanceSettings
from functions.aws.sweep import ScheduledSweep, SweepFailedError
from functions.observability.log_lines import JsonLine
from functions.settings.api_keys import digest_of
from functions.settings.settings import Settings, SettingsError
from functions.wiring import Wiring
from tests.adapters.test_secrets_manager import amz, refusal
from tests.functions.conftest import environ_for
from tests.functions.deployment import API_KEY, HTML, REDIRECT_URI, Deployment, deployed, idle
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import OVER
from tests.functions.hosts import Host, aws_lambda, close_handler
from tests.functions.keeper_rig import SetClock
from tests.functions.observability.test_log_lines import written_by
from tests.functions.stores import sqlite_store
from tests.ports.scripted_server import Script, serving
from tests.system.lambda_events import http_api_event, scheduler_event
from tests.system.lambda_instances import Instance, LambdaTransport
from tests.system.secrets_peer import SecretsPeer, secrets_server
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey

ROOT = Path(__file__).parents[3]
A_SECOND = timedelta(seconds=1)
ANOTHER_KEY = "another-api-key-of-this-deployment"
ENCRYPTION_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
# A value in a secret, which must never be repeated.
MARK = "ValueThatIsNotRepeated"
NOT_CONFIGURED = "not configured: "


class Secretive:
    """Deployments whose variables are in one secret, all but the store's; and their clock."""

    def __init__(self, peer: SecretsPeer, variables: Mapping[str, str], folder: Path) -> None:
        self.peer = peer
        self.clock = SetClock()
        self.name = peer.new_secret()
        self.kept = {"SQLITE_PATH": str(folder / "grants.sqlite"), "SECRET_ID": self.name}
        self.kept["AWS_REGION"] = peer.access["region_name"]
        self.variables = dict(variables)

    def put(self, **changes: str) -> None:
        """Give the secret its value, or another one."""
        self.variables |= changes
        self.peer.put(self.name, self.variables)

    def settings(self, _environ: Mapping[str, str] | None = None) -> InstanceSettings:
        """The settings of one instance."""
        return InstanceSettings(self.kept, self.clock)

    @contextmanager
    def run(self, portal: BlockingPortal, provider: SimulatedDigiKeyPeer) -> Iterator[Deployment]:
        """Run the function, with no instance at first."""
        host = Host(run=partial(aws_lambda, settings=self.settings), store=sqlite_store)
        with deployed(host, portal, {**self.kept, **self.variables}, provider) as deployment:
            yield deployment

    @contextmanager
    def sweeping(self) -> Iterator[ScheduledSweep]:
        """One instance of the function behind the schedule."""
        sweep = ScheduledSweep(self.settings())
        try:
            yield sweep
        finally:
            sweep._runner.run(sweep.close())
            sweep._runner.close()


@pytest.fixture(scope="module")
def peer() -> Iterator[SecretsPeer]:
    with secrets_server() as peer:
        yield peer


@pytest.fixture
def secretive(
    peer: SecretsPeer,
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Secretive:
    """Deployments with the simulated Digi-Key; their secret has no value yet."""
    for name, value in peer.environ.items():
        monkeypatch.setenv(name, value)
    variables = environ_for(running_digikey, {}) | {"ENCRYPTION_KEYS": ENCRYPTION_KEY}
    return Secretive(peer, variables, tmp_path)


@pytest.fixture
def deployment(
    secretive: Secretive, portal: BlockingPortal, running_digikey: SimulatedDigiKeyPeer
) -> Iterator[Deployment]:
    """Such a deployment."""
    with secretive.run(portal, running_digikey) as deployment:
        yield deployment


def token(deployment: Deployment, key: str = API_KEY) -> httpx.Response:
    return deployment.call("GET", "/api/token", ("x-api-key", key))


def parts_of(deployment: Deployment) -> Wiring:
    """The parts of the one instance that there is."""
    transport = deployment.running.transport
    assert isinstance(transport, LambdaTransport)
    [instance] = transport._all
    handler = instance._handler.result()
    assert isinstance(handler, HttpHandler)
    [(wiring, _)] = handler._application._parts._open.values()
    return wiring


def assert_closed(parts: Wiring) -> None:
    """Expect them to hold nothing open."""
    assert isinstance(parts.store, SqliteStore)
    assert not parts.store._reader._file.is_open
    assert not parts.store._writer._file.is_open
    server = parts.client(None)._server
    assert isinstance(server, HttpxAuthorizationServer)
    assert server._http.is_closed


def pass_time(secretive: Secretive, deployment: Deployment) -> None:
    """Let the secret be read again, and a refused refresh be tried again."""
    secretive.clock.move(VALID_FOR)
    deployment.age("default", VALID_FOR)


def complaints(deployment: Deployment) -> list[str]:
    """The log's lines about the settings."""
    return [line for line in deployment.running.log().splitlines() if NOT_CONFIGURED in line]


# --- the secret replaces the environment


def test_deployment_takes_its_variables_from_the_secret(
    secretive: Secretive, deployment: Deployment
) -> None:
    secretive.put()
    deployment.log_in("default")
    assert deployment.provider.accepts(expect_token(token(deployment)))
    assert not complaints(deployment)
    idle(deployment, "idle")
    with secretive.sweeping() as sweep:
        assert sweep(scheduler_event(), None)["refreshed"] == 1


def test_secret_is_found_by_its_arn_too(secretive: Secretive) -> None:
    secretive.put()
    arn = secretive.peer.client.describe_secret(SecretId=secretive.name)["ARN"]
    secretive.kept["SECRET_ID"] = f" {arn}\n"
    settings = secretive.settings()
    assert not settings.update()
    assert is_key_of(settings, API_KEY)


def is_key_of(settings: InstanceSettings, api_key: str) -> bool:
    return [key.digest for key in settings.current().api_keys] == [digest_of(api_key.encode())]


def test_every_variable_but_the_choice_of_a_store_may_be_in_a_secret() -> None:
    asked = set[str]()

    class Environ(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return default

    with pytest.raises(SettingsError):
        Settings.from_environ(Environ())
    stores = {"DYNAMODB_TABLE", "REDIS_URL", "SQLITE_PATH"}
    stores |= {"DATABASE_URL", "KV_REST_API_URL", "POSTGRES_URL", "UPSTASH_REDIS_REST_URL"}
    assert asked - VARIABLES == stores | {"VERCEL_PROJECT_PRODUCTION_URL"}
    assert asked >= VARIABLES


_MAIN = """
import json, sys
from functions.aws.sweep import handler as sweep
imported = sorted(name for name in sys.modules if name.startswith("boto"))
from functions.aws.api import handler
print(json.dumps([handler(json.loads(sys.argv[1]), None), sweep({}, None), imported]))
"""


def test_modules_look_for_the_secret_in_the_environment(secretive: Secretive) -> None:
    secretive.put()
    event = {
        "version": "2.0",
        "requestContext": {"http": {"method": "GET", "path": "/api/token", "sourceIp": "::1"}},
        "rawQueryString": "",
        "headers": {"x-api-key": API_KEY},
        "isBase64Encoded": False,
    }
    command = [sys.executable, "-W", "error", "-c", _MAIN, json.dumps(event)]
    environ = {"PYTHONPATH": str(ROOT), **secretive.peer.environ, **secretive.kept}
    *_logged, printed = subprocess.check_output(command, env=environ).splitlines()
    answer, report, imported = json.loads(printed)
    assert json.loads(answer["body"])["cause"] == "never-authorized"
    assert report["is_complete"] is True
    # A sweep's start imports no AWS client: its first event does.
    assert imported == []


# --- the secret is changed


def test_key_that_was_replaced_in_the_secret_is_refused_after_some_minutes(
    secretive: Secretive, deployment: Deployment
) -> None:
    secretive.put()
    deployment.log_in("default")
    served = expect_token(token(deployment))
    before = parts_of(deployment)
    secretive.put(API_KEY=ANOTHER_KEY)
    secretive.clock.move(VALID_FOR - A_SECOND)
    assert expect_token(token(deployment)) == served
    expect_problem(token(deployment, ANOTHER_KEY), 401, "api-key-invalid")
    secretive.clock.move(A_SECOND)
    expect_problem(token(deployment), 401, "api-key-invalid")
    assert expect_token(token(deployment, ANOTHER_KEY)) == served
    # The parts of the old settings are closed.
    assert parts_of(deployment) is not before
    assert_closed(before)


def test_parts_stay_where_the_secret_does(secretive: Secretive, deployment: Deployment) -> None:
    secretive.put()
    token(deployment)
    before = parts_of(deployment)
    secretive.put()
    for _ in range(3):
        secretive.clock.move(VALID_FOR)
        token(deployment)
        assert parts_of(deployment) is before


def test_sweep_has_the_credentials_of_now(secretive: Secretive, deployment: Deployment) -> None:
    secretive.put(CLIENT_SECRET="a secret that Digi-Key does not know")
    with secretive.sweeping() as sweep:
        sweep(scheduler_event(), None)
        before = sweep._wiring
        assert before is not None
        secretive.put(CLIENT_SECRET=deployment.provider.client_secret)
        idle(deployment, "default")
        with pytest.raises(SweepFailedError, match="failed: 1"):
            sweep(scheduler_event(), None)
        assert sweep._wiring is before
        pass_time(secretive, deployment)
        assert sweep(scheduler_event(), None)["refreshed"] == 1
        assert_closed(before)


def test_client_secret_that_was_replaced_is_used_and_the_tokens_stay(
    secretive: Secretive, portal: BlockingPortal, tmp_path: Path
) -> None:
    run = partial(
        simulated_digikey, redirect_uri=REDIRECT_URI, state_path=tmp_path / "digikey.json"
    )
    with run(client_secret="the first secret") as provider:
        secretive.put(**environ_for(provider, {}))
        with secretive.run(portal, provider) as deployment:
            deployment.log_in("default")
    with run(client_secret="the second secret") as provider:
        # The secret changes at the provider first, and here a moment later.
        old = environ_for(provider, {}) | {"CLIENT_SECRET": "the first secret"}
        secretive.put(**old)
        with secretive.run(portal, provider) as deployment:
            deployment.age("default", OVER)
            expect_problem(token(deployment), 502, "client-refused")
            secretive.put(CLIENT_SECRET="the second secret")
            pass_time(secretive, deployment)
            assert provider.accepts(expect_token(token(deployment)))
            assert deployment.tokens("default").generation == 1


def test_clock_that_goes_back_does_not_keep_old_settings(secretive: Secretive) -> None:
    secretive.put()
    settings = secretive.settings()
    settings.update()
    secretive.put(API_KEY=ANOTHER_KEY)
    secretive.clock.move(-A_SECOND)
    assert settings.update()
    assert is_key_of(settings, ANOTHER_KEY)


# --- the secret cannot be read any more


def test_settings_that_worked_stay_in_use_while_the_secret_cannot_be_read(
    secretive: Secretive, deployment: Deployment
) -> None:
    secretive.put()
    deployment.log_in("default")
    secretive.peer.client.delete_secret(SecretId=secretive.name)
    secretive.clock.move(VALID_FOR)
    for _ in range(3):
        expect_token(token(deployment))
        secretive.clock.move(STALE_FOR)
    [said] = complaints(deployment)
    assert said.endswith("; the previous settings stay in use")
    assert f"restore-secret --secret-id {secretive.name}" in said
    secretive.peer.client.restore_secret(SecretId=secretive.name)
    secretive.put(API_KEY=ANOTHER_KEY)
    expect_token(token(deployment, ANOTHER_KEY))
    # The same fault is another one the next time.
    secretive.peer.client.delete_secret(SecretId=secretive.name)
    secretive.clock.move(VALID_FOR)
    expect_token(token(deployment, ANOTHER_KEY))
    assert complaints(deployment) == [said, said]


def test_settings_that_worked_stay_in_use_while_the_secret_makes_no_sense(
    secretive: Secretive, deployment: Deployment
) -> None:
    secretive.put()
    deployment.log_in("default")
    secretive.put(API_KEY="a key with spaces")
    secretive.clock.move(VALID_FOR)
    expect_token(token(deployment))
    secretive.put(API_KEY=ANOTHER_KEY)
    secretive.clock.move(STALE_FOR - A_SECOND)
    expect_token(token(deployment))
    secretive.clock.move(A_SECOND)
    expect_token(token(deployment, ANOTHER_KEY))
    [said] = complaints(deployment)
    assert "API_KEY must be printable ASCII" in said
    assert "a key with spaces" not in said


CLIENTS = '{"one": {"client_id": "i", "client_secret": "š", "token_params": {"a": "b"}}}'
REPEATED = '{"one": {"client_id": "i", "client_id": "j"}, "two": [1, true, null, {"a": {}}]}'


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        pytest.param(json.dumps(CLIENTS), CLIENTS, id="text"),
        pytest.param(CLIENTS, CLIENTS, id="object"),
        pytest.param(REPEATED, REPEATED, id="object-with-a-repeated-member"),
        pytest.param("{}", "{}", id="empty-object"),
    ],
)
def test_clients_in_the_secret_are_an_object_or_its_text(clients: str, expected: str) -> None:
    found = with_secret({}, f'{{"CLIENTS": {clients}}}')["CLIENTS"]
    pairs = (json.loads(text, object_pairs_hook=list) for text in (found, expected))
    assert next(pairs) == next(pairs)


def test_alerts_in_the_secret_are_an_array_or_its_text() -> None:
    alerts = '[{"kind": "slack", "url": "https://š.example/"}, {"kind": "ses", "to": ["a@b.c"]}]'
    for given in (alerts, json.dumps(alerts)):
        found = with_secret({}, f'{{"ALERTS": {given}}}')["ALERTS"]
        assert json.loads(found) == json.loads(alerts)


# --- the secret could not be read yet


def bad(text: str) -> Mapping[str, str | bytes]:
    return {"SecretString": text}


BAD: dict[str, tuple[Mapping[str, str | bytes] | None, str]] = {
    "none": (None, "does not exist in this account and region"),
    "empty": ({}, "has no value yet"),
    "binary": ({"SecretBinary": MARK.encode()}, "is binary"),
    "no JSON": (bad(f"CLIENT_SECRET={MARK}"), "the secret is not JSON"),
    "JSON that is cut off": (bad(f'{{"CLIENT_SECRET": "{MARK}'), "the secret is not JSON"),
    "lists in lists": (bad("[" * 60_000), "the secret is not JSON"),
    "a text": (bad(f'"{MARK}"'), "the secret is not a JSON object"),
    "a list": (bad(f'["{MARK}"]'), "the secret is not a JSON object"),
    "null": (bad("null"), "the secret is not a JSON object"),
    "an object without variables": (bad("{}"), "CLIENT_ID is not set; CLIENT_SECRET is not set"),
    "a number": (bad('{"API_KEY": 20260301}'), "not a string in the secret: API_KEY"),
    "an object in it": (
        bad(json.dumps({"API_KEY": {"a": MARK}, "SCOPE": None})),
        "not a string in the secret: API_KEY, SCOPE",
    ),
    "an object of alerts": (
        bad(json.dumps({"ALERTS": {"kind": MARK}})),
        "not a string in the secret: ALERTS",
    ),
    "a list of clients": (
        bad(json.dumps({"CLIENTS": [{"google": MARK}]})),
        "not a string in the secret: CLIENTS",
    ),
    "a name twice": (
        bad(f'{{"API_KEY": "{MARK}", "SCOPE": "", "API_KEY": "b"}}'),
        "repeated in the secret: API_KEY",
    ),
    "names of others": (
        bad(json.dumps({"AWS_PROFILE": MARK, "SQLITE_PATH": MARK, "api_key": MARK, MARK: "x"})),
        "not allowed in the secret: AWS_PROFILE, SQLITE_PATH, 2 that cannot be variable names",
    ),
    "its own name": (bad('{"SECRET_ID": "x"}'), "not allowed in the secret: SECRET_ID"),
    "a variable that is set already": (
        bad(json.dumps({"PROVIDER": MARK})),
        "both in the environment and in the secret: PROVIDER",
    ),
    "a value that cannot be used": (bad(json.dumps({"API_KEY": f"{MARK} x"})), "API_KEY must be"),
}


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_unusable_secret_closes_every_endpoint_but_health_with_the_command_to_replace_it(
    secretive: Secretive,
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    value: Mapping[str, str | bytes] | None,
    said: str,
) -> None:
    secretive.kept["PROVIDER"] = "digikey"
    name = "nothing" if value is None else secretive.peer.new_secret(**value)
    secretive.kept["SECRET_ID"] = name
    members = expect_problem(token(deployment), 500, "not-configured")
    assert said in members["detail"]
    assert f"secret {name!r} (SECRET_ID)" in members["detail"]
    command = f"aws secretsmanager put-secret-value --secret-id {name} --secret-string file://"
    assert (command in members["detail"]) is (value is not None)
    page = deployment.callback(HTML, code="a", state="b")
    assert "(SECRET_ID)" in expect_page(page, 500)
    expect_problem(deployment.post("/api/refresh"), 500, "not-configured")
    assert expect_json(deployment.call("GET", "/api/health")) == {"status": "ok"}
    assert deployment.call("HEAD", "/api/health").status_code == 200
    # One line for all requests.
    [complaint] = complaints(deployment)
    assert complaint.startswith("ERROR functions.aws.settings")
    assert members["detail"].removeprefix("Invalid configuration: ")[:-1] in complaint
    with secretive.sweeping() as sweep, pytest.raises(SweepFailedError, match="SECRET_ID") as swept:
        sweep(scheduler_event(), None)
    assert said in str(swept.value)
    assert MARK not in deployment.running.log() + caplog.text + page.text + str(swept.value)
    assert MARK not in json.dumps(members)


def test_invalid_name_of_a_secret_is_a_fault(secretive: Secretive, deployment: Deployment) -> None:
    secretive.kept["SECRET_ID"] = "a name $(that) no secret has"
    members = expect_problem(token(deployment), 500, "not-configured")
    assert "SECRET_ID must be the name or the ARN of a secret" in members["detail"]
    assert expect_json(deployment.call("GET", "/api/health")) == {"status": "ok"}


def test_deployment_works_once_its_empty_secret_has_a_value(
    secretive: Secretive, deployment: Deployment
) -> None:
    expect_problem(token(deployment), 500, "not-configured")
    secretive.put()
    secretive.clock.move(FAULT_FOR - A_SECOND)
    expect_problem(token(deployment), 500, "not-configured")
    secretive.clock.move(A_SECOND)
    expect_problem(token(deployment), 401, "authorization-required")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, script: Script) -> Iterator[list[Any]]:
    """Have the script in the place of Secrets Manager, and yield the requests that it gets."""
    with serving(script) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.endpoint)
        yield server.requests


def test_fault_is_remembered_for_some_seconds(
    secretive: Secretive, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = refusal("AccessDeniedException")
    with counted(monkeypatch, script) as requests:
        for number in (1, 2, 3):
            for _ in range(20):
                answer = token(deployment)
                expect_problem(answer, 500, "not-configured")
                assert "retry-after" not in answer.headers
                deployment.call("GET", "/api/health")
            assert len(requests) == number
            secretive.clock.move(FAULT_FOR)
    assert len(complaints(deployment)) == 1


def test_secret_is_read_once_in_some_minutes_and_not_for_other_events(
    secretive: Secretive, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = amz({"SecretString": json.dumps(secretive.variables)})
    with counted(monkeypatch, script) as requests:
        instance = Instance(lambda: HttpHandler(secretive.settings()))
        with pytest.raises(UnknownEventError):
            instance.invoke(scheduler_event()).result()
        instance.stop(close_handler)
        assert len(requests) == 1, "ahead of the first event, and not for this one"
        for number in (2, 3, 4):
            for _ in range(20):
                expect_problem(token(deployment), 401, "authorization-required")
            assert len(requests) == number
            secretive.clock.move(VALID_FOR)


def test_fault_that_passes_is_unavailable_with_when_to_come_back(
    secretive: Secretive, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = refusal("ThrottlingException", MARK)
    with counted(monkeypatch, script):
        answer = token(deployment)
        members = expect_problem(answer, 503, "settings-unavailable")
        assert answer.headers["retry-after"] == "10"
        assert f"secret {secretive.name!r} (SECRET_ID) is asked for too often" in members["detail"]
        assert expect_json(deployment.call("GET", "/api/health")) == {"status": "ok"}
        with (
            secretive.sweeping() as sweep,
            pytest.raises(SweepFailedError, match="asked for too often"),
        ):
            sweep(scheduler_event(), None)
    assert MARK not in deployment.running.log()


def test_secret_without_its_library_is_refused_with_the_file_that_installs_it(
    secretive: Secretive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    for name in ("adapters.secrets_manager", "adapters.aws_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    settings = secretive.settings()
    settings.update()
    with pytest.raises(SettingsError, match=r"SECRET_ID .*infra/locks/aws\.txt"):
        settings.current()


# --- without a secret


def test_missing_variables_are_logged_once_by_each_instance_and_raised_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SetClock()
    settings = InstanceSettings({"SECRET_ID": " "}, clock)
    for _ in range(3):
        assert not settings.update()
        clock.move(FAULT_FOR)
    ways = []
    for _ in range(3):
        with pytest.raises(SettingsError, match="API_KEY is not set") as raised:
            settings.current()
        ways.append(len(traceback.extract_tb(raised.tb)))
    # A traceback does not grow with each raise.
    assert len(set(ways)) == 1
    [record] = [record for record in caplog.records if NOT_CONFIGURED in record.getMessage()]
    assert record.levelno == logging.ERROR
    assert "CLIENT_ID is not set" in record.getMessage()
    caplog.clear()


def test_fault_that_a_request_meets_is_logged_with_its_id() -> None:
    environ, clock = {"SECRET_ID": " "}, SetClock()
    event = http_api_event(httpx.Request("GET", "https://lambda/api/token"))

    def serve() -> str:
        handler = HttpHandler(InstanceSettings(environ, clock))
        environ["API_KEY"] = "short"
        clock.move(FAULT_FOR)
        with written_by(JsonLine(), "functions.aws.settings") as output:
            handler(event, SimpleNamespace(aws_request_id="the-request"))
        close_handler(handler)
        return output.getvalue()

    with ThreadPoolExecutor(1) as instance:
        line = json.loads(instance.submit(serve).result())
    assert NOT_CONFIGURED in line["message"]
    assert line["request_id"] == "the-request"


def test_blank_variable_in_the_environment_is_unset() -> None:
    text = json.dumps({"SCOPE": "a"})
    assert with_secret({"SCOPE": " "}, text) == {"SCOPE": "a"}
    with pytest.raises(SettingsError, match="both in the environment and in the secret: SCOPE"):
        with_secret({"SCOPE": "b"}, text)
