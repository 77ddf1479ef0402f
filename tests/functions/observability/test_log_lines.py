"""The log as JSON lines: on which hosts, the request of each line, and no secret."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from functions.observability.log_lines import JsonLine, TextLine, write_json_lines
from functions.observability.tracing import mark_authenticated, trace_request
from ports.rescue import RescuedRecord
from tests.functions.conftest import environ_for
from tests.functions.deployment import Deployment, deployed
from tests.functions.grants import fresh, over
from tests.functions.hosts import Host, Running, on_each_host, server_process
from tests.functions.observability.test_secrets import (
    SECRET,
    STATE,
    Session,
    expect_nothing_of,
    use,
)
from tests.functions.stores import sqlite_store
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer


def json_lines(log: str) -> list[dict[str, Any]]:
    """Every JSON object on a line of its own; other software writes as it likes."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@contextmanager
def plain_uvicorn(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run uvicorn with its own settings of the log."""
    with server_process(
        ["-m", "uvicorn", "functions.asgi:app"], environ, port_option="--port"
    ) as running:
        yield running


def test_uvicorn_as_it_comes_logs_json_lines_without_a_secret(
    portal: BlockingPortal,
    running_digikey: SimulatedDigiKeyPeer,
    endpoint: TokenEndpoint,
    tmp_path: Path,
) -> None:
    secrets = {"CLIENT_SECRET": SECRET, "OAUTH_STATE": STATE}
    environ = {**environ_for(running_digikey, tmp_path), **endpoint.environ, **secrets}
    host = Host(run=plain_uvicorn, store=sqlite_store)
    with deployed(host, portal, environ, running_digikey) as deployment:
        session = Session(deployment, endpoint)
        use(session, "canary")
        deployment.running.stop()
        log = deployment.running.log()
    expect_nothing_of(session.secrets, log, "the log")
    lines = json_lines(log)
    assert {line["level"] for line in lines} == {"INFO", "WARNING"}
    assert {line["connection"] for line in lines if "connection" in line} >= {"canary", "canary-1"}
    assert all(line["request_id"] for line in lines)
    assert all(datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0) for line in lines)
    refreshes = [line for line in lines if ": refresh" in line["message"]]
    assert refreshes
    assert {line["key"] for line in refreshes} == {"API_KEY"}


@on_each_host
def test_platforms_log_is_json_and_others_have_their_own_format(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, over())
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    answer = scripted.token(connection)
    assert answer.status_code == 401
    log = scripted.running.log()
    assert f"connection {connection}: a person has to log in" in log
    lines = [line for line in json_lines(log) if line.get("connection") == connection]
    assert bool(lines) is scripted.host.logs_json
    assert {line["request_id"] for line in lines} <= {answer.headers["x-request-id"]}
    # Each event has one line.
    assert log.count(f"connection {connection}: a person has to log in") == 1


def test_logging_that_is_set_up_is_left_alone() -> None:
    # pytest does.
    assert logging.getLogger().handlers
    write_json_lines()
    for name in ("adapters", "functions"):
        assert logging.getLogger(name).propagate
        assert not logging.getLogger(name).handlers


@contextmanager
def levels_put_back(*loggers: logging.Logger) -> Iterator[None]:
    levels = [logger.level for logger in loggers]
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class PlatformHandler(logging.Handler):
    """The handler of a platform's runtime, by its module's name."""

    __module__ = "vercel_runtime.vc_init"


def test_platform_s_handler_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    loggers = [logging.getLogger(name) for name in ("adapters", "functions")]
    monkeypatch.setattr(root, "handlers", [PlatformHandler()])
    for logger in loggers:
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", logger.propagate)
    with levels_put_back(root, *loggers):
        root.setLevel(logging.WARNING)
        for _ in range(2):
            write_json_lines()
        assert [logger.propagate for logger in loggers] == [False, False]
        for logger in loggers:
            logger.warning("for somebody to look at")
            logger.info("for information")
            logger.debug("not logged")
    output = capsys.readouterr()
    usual = [json.loads(line)["message"] for line in output.out.splitlines()]
    alarming = [json.loads(line)["message"] for line in output.err.splitlines()]
    assert (usual, alarming) == (["for information"] * 2, ["for somebody to look at"] * 2)


@contextmanager
def written_by(formatter: logging.Formatter, name: str) -> Iterator[io.StringIO]:
    handler = logging.StreamHandler(output := io.StringIO())
    handler.setFormatter(formatter)
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield output
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    "formatter",
    [
        pytest.param(JsonLine(), id="json"),
        pytest.param(TextLine(), id="make-run"),
        pytest.param(logging.Formatter("%(levelname)s %(message)s"), id="make-run-before"),
        pytest.param(logging.Formatter(), id="without-a-prefix"),
    ],
)
def test_rescue_line_of_each_format_can_be_read_back(formatter: logging.Formatter) -> None:
    rescue = RescueLog(SealedRecords(KeyRing([bytes(32)])))
    rescued = RescuedRecord(
        connection="c",
        expected_etag="intent",
        record=record_of(fresh(), "rescued"),
    )
    with written_by(formatter, "adapters.rescue_log") as output, trace_request("the-request"):
        rescue.emit(rescued)
    [line] = output.getvalue().splitlines()
    assert rescue.read(line) == [rescued]
    # A platform may quote it once more.
    assert rescue.read(json.dumps({"message": line})) == [rescued]


@pytest.mark.parametrize(
    ("trace", "request_id"), [(trace_request("an-id"), "an-id"), (nullcontext(), "-")]
)
def test_line_of_text_has_the_time_the_level_and_the_request_id(
    trace: AbstractContextManager[object], request_id: str
) -> None:
    log = logging.getLogger("functions.tests")
    with written_by(TextLine(), "functions.tests") as output, trace:
        try:
            go_wrong()
        except RuntimeError:
            log.exception("connection %s: wrong", "c")
    first, *traceback = output.getvalue().splitlines()
    time, rest = first.split(" ", 1)
    written = datetime.fromisoformat(time)
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert rest == f"ERROR {request_id} connection c: wrong"
    assert "RuntimeError" in traceback[-2]


def test_line_is_one_line_with_any_content() -> None:
    log = logging.getLogger("functions.tests")
    with written_by(JsonLine(), "functions.tests") as output, trace_request("an-id"):
        mark_authenticated("ci")
        try:
            go_wrong()
        except RuntimeError:
            log.exception("connection %s: it went\nwrong", "c")
    [line] = output.getvalue().splitlines()
    members = json.loads(line)
    assert members.pop("time")
    assert 'RuntimeError: two\nlines "quoted"' in members.pop("exception")
    assert members == {
        "level": "ERROR",
        "logger": "functions.tests",
        "message": "connection c: it went\nwrong",
        "request_id": "an-id",
        "key": "ci",
        "connection": "c",
    }


def go_wrong() -> None:
    raise RuntimeError('two\nlines "quoted"')


@pytest.mark.parametrize("message", ["no connection", "100 %", "%d of %d"])
def test_line_without_a_connection_or_request_has_no_members_for_them(message: str) -> None:
    arguments = (1, 2) if "%d" in message else ()
    with written_by(JsonLine(), "functions.tests") as output:
        logging.getLogger("functions.tests").error(message, *arguments)
    assert set(json.loads(output.getvalue())) == {"time", "level", "logger", "message"}
