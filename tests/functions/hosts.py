"""The hosts that run the application under test.

A test runs in this process only, unless `on_each_host`, `on_each_host_and_store` or `on_hosts`
marks it. It is marked where the code of the host or of the store can change the result:

- `in-process`: the application itself. The whole HTTP contract runs here, over SQLite.
- `over-redis`, `over-postgres`: the same, over other stores, with what their libraries log.
- `uvicorn`: a server on a socket. Framing, raw bytes, lifespan, the end of a process, its log.
- `vercel`: the built functions behind the routes of `vercel.json`. Which function has which path
  and method, Vercel's request conversion and client address, a process per function, Upstash.
- `lambda`: AWS's handler in this process. Instances that have one event at a time, DynamoDB.
- `lambda-runtime`: the built artifact in Lambda's runtime, with each kind of event by turns.
  Event conversion (paths, queries, headers, cookies, bodies), what the artifact contains, its log.

`on_each_host` leaves out `lambda`: `lambda-runtime` runs the same handler, and `test_aws.py` each
kind of event.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.aws.api import HttpHandler
from functions.aws.settings import InstanceSettings
from functions.http.messages import Receive, Scope, Send
from functions.settings.settings import Settings
from tests.functions.stores import (
    StartStore,
    dynamodb_store,
    postgres_store,
    redis_store,
    sqlite_store,
    upstash_store,
)
from tests.patience import PATIENCE
from tests.system.client_address import BehindProxy, client_address
from tests.system.lambda_deployment import lambda_deployment
from tests.system.lambda_events import MakeEvent, http_api_event
from tests.system.lambda_instances import Handler, LambdaTransport
from tests.system.loopback import free_port
from tests.system.vercel_deployment import BASE_URL, vercel_deployment

ROOT = Path(__file__).parents[2]
_LINE = "%(levelname)s %(name)s %(message)s"
# All messages of httpx, httpcore, uvicorn, asyncio and the application.
_LOG_EVERYTHING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": _LINE}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "stream": "ext://sys.stderr",
        }
    },
    "root": {"level": "DEBUG", "handlers": ["stderr"]},
    "loggers": {name: {"level": "DEBUG"} for name in ("uvicorn", "uvicorn.access", "uvicorn.asgi")},
}
_LAMBDA_LOGS_EVERYTHING = {"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The application on a host: how to reach it, what it logged so far, how to stop it early."""

    base_url: str
    transport: httpx.AsyncBaseTransport
    log: Callable[[], str]
    stop: Callable[[], None]


Run: TypeAlias = Callable[[BlockingPortal, Mapping[str, str]], AbstractContextManager[Running]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A way to run the application over an environment, and what is special about it."""

    run: Run
    store: StartStore
    routes_itself: bool = False
    """The platform answers, and not the application, where there is no endpoint."""
    log_level: int = logging.DEBUG
    """The least that is logged there at its most talkative."""
    goes_on_behind_its_answer: bool = True
    """A caller has the answer while a refresh goes on in the same instance."""
    logs_json: bool = False
    """The host sets up no logging, so that the application writes its own JSON lines."""


class AsgiTransport(httpx.AsyncBaseTransport):
    """Call an ASGI application as a server does: the client has its answer at the last byte.

    `httpx.ASGITransport` waits for the application to return, which here is after the refresh that
    it may go on with behind the answer. Like httpx's own transports this one takes a request
    target as bytes from the extension "target".
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._running: set[asyncio.Task[None]] = set()
        self._lifespan: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._is_up = asyncio.Event()
        self._live = asyncio.create_task(self._live_on())

    async def start(self) -> None:
        """Go through the application's start-up."""
        await self._lifespan.put({"type": "lifespan.startup"})
        await self._is_up.wait()

    async def stop(self) -> None:
        """Let what runs come to its end, and go through the application's shutdown."""
        while self._running:
            await asyncio.wait(set(self._running))
        if not self._live.done():
            await self._lifespan.put({"type": "lifespan.shutdown"})
            await self._live

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer at the last byte of the body, while the application may run on."""
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        body = await request.aread()
        task = asyncio.create_task(
            self._application(_scope(request), _receiving(body), _sending(answer))
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        either: set[asyncio.Future[Any]] = {task, answer}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            await task
            raise AssertionError("the application returned without a whole answer")
        return answer.result()

    async def _live_on(self) -> None:
        async def send(message: Mapping[str, Any]) -> None:
            assert message["type"] in {"lifespan.startup.complete", "lifespan.shutdown.complete"}
            self._is_up.set()

        await self._application({"type": "lifespan", "asgi": {}}, self._lifespan.get, send)


def _scope(request: httpx.Request) -> Scope:
    raw_path, _, query = request.extensions.get("target", request.url.raw_path).partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": (client_address(request), 1),
        "server": ("127.0.0.1", 80),
    }


def _receiving(body: bytes) -> Receive:
    # In chunks, as a server reads from a socket.
    size = 64 * 1024
    chunks = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

    async def receive() -> dict[str, Any]:
        if not chunks:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return receive


def _sending(answer: "asyncio.Future[httpx.Response]") -> Send:
    start: dict[str, Any] = {}
    body = bytearray()

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body") and not answer.done():
            answer.set_result(
                httpx.Response(start["status"], headers=start["headers"], content=bytes(body))
            )

    return send


@contextmanager
def in_process(portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run the application in this process, on the portal's event loop."""

    async def start() -> AsgiTransport:
        transport = AsgiTransport(Application(ALL_ROUTES, partial(Settings.from_environ, environ)))
        await transport.start()
        return transport

    with _logging_everything() as lines:
        transport = portal.call(start)
        try:
            yield Running(
                base_url="http://in-process",
                transport=transport,
                log=lambda: "\n".join(lines),
                stop=lambda: portal.call(transport.stop),
            )
        finally:
            portal.call(transport.stop)


class _Lines(logging.Handler):
    """The log of this process, without the test's own, which runs in the main thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter(_LINE))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        if record.thread != threading.main_thread().ident:
            self.lines.append(self.format(record))


@contextmanager
def _logging_everything() -> Iterator[list[str]]:
    handler = _Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@contextmanager
def uvicorn(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run `uvicorn functions.asgi:app` on a loopback port, as a process of its own.

    With its access log, which must not repeat what is in a query.
    """
    with TemporaryDirectory() as directory:
        config = Path(directory) / "logging.json"
        config.write_text(json.dumps(_LOG_EVERYTHING))
        command = ["-m", "uvicorn", "functions.asgi:app", "--log-level", "debug"]
        command += ["--log-config", str(config)]
        with server_process(command, environ, port_option="--port") as running:
            yield running


@contextmanager
def server_process(
    arguments: list[str],
    environ: Mapping[str, str],
    *,
    port_option: str | None = None,
    folder: Path = ROOT,
) -> Iterator[Running]:
    """Run Python with these arguments; it serves at the port of `PORT` or of the option.

    Its output is its log.
    """
    port = free_port()
    command = [sys.executable, *arguments]
    command += [port_option, str(port)] if port_option else []
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": str(port)}
    with TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command,
                cwd=folder,
                env={**inherited, **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                _wait_until_ready(process, port, log)
                yield Running(
                    base_url=f"http://127.0.0.1:{port}",
                    transport=BehindProxy(httpx.AsyncHTTPTransport(verify=False)),
                    log=log.read_text,
                    stop=lambda: _stop(process),
                )
            finally:
                _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE.total_seconds()
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE.total_seconds())
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def vercel(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run what Vercel's builder made in Vercel's runtime, behind the routes of `vercel.json`."""
    with vercel_deployment(environ) as deployment:
        yield Running(
            base_url=BASE_URL,
            transport=deployment.transport,
            log=deployment.log,
            stop=deployment.stop,
        )


@contextmanager
def aws_lambda(
    _portal: BlockingPortal,
    environ: Mapping[str, str],
    event_of: MakeEvent = http_api_event,
    settings: Callable[[Mapping[str, str]], InstanceSettings] = InstanceSettings,
) -> Iterator[Running]:
    """Run Lambda's handler in instances of this process, behind an HTTP API or another event."""

    def make() -> HttpHandler:
        return HttpHandler(settings(environ))

    with _logging_everything() as lines:
        transport = LambdaTransport(make, event_of=event_of, close=close_handler)
        try:
            yield Running(
                base_url="https://lambda",
                transport=transport,
                log=lambda: "\n".join(lines),
                stop=transport.stop,
            )
        finally:
            transport.stop()


def close_handler(handler: Handler) -> None:
    """Close what the end of an instance on Lambda would close."""
    assert isinstance(handler, HttpHandler)
    handler._loop.run_until_complete(handler._application.close())
    handler._loop.close()


@contextmanager
def lambda_runtime(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run Lambda's artifact in Lambda's runtime, with each kind of event by turns."""
    with lambda_deployment({**environ, **_LAMBDA_LOGS_EVERYTHING}) as deployment:
        yield Running(
            base_url="https://lambda",
            transport=deployment.transport,
            log=deployment.log,
            stop=deployment.stop,
        )


HOSTS: Mapping[str, Host] = {
    "in-process": Host(run=in_process, store=sqlite_store),
    "over-redis": Host(run=in_process, store=redis_store),
    "over-postgres": Host(run=in_process, store=postgres_store),
    "uvicorn": Host(run=uvicorn, store=sqlite_store),
    "vercel": Host(
        run=vercel,
        store=upstash_store,
        routes_itself=True,
        log_level=logging.INFO,
        logs_json=True,
    ),
    "lambda": Host(run=aws_lambda, store=dynamodb_store, goes_on_behind_its_answer=False),
    "lambda-runtime": Host(
        run=lambda_runtime, store=dynamodb_store, goes_on_behind_its_answer=False, logs_json=True
    ),
}


def on_hosts(*names: str) -> pytest.MarkDecorator:
    """Run a test on these hosts, and not only in this process."""
    return pytest.mark.parametrize("host", names, indirect=True)


OVER_STORES = ("over-redis", "over-postgres")
on_each_host = on_hosts(*(name for name in HOSTS if name not in {"lambda", *OVER_STORES}))
on_each_host_and_store = on_hosts(*(name for name in HOSTS if name != "lambda"))
