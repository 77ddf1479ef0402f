"""A real keeper with a clock that the test moves: the application behind uvicorn, over SQLite."""

import asyncio
import mmap
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import uvicorn

from functions.application import Application
from functions.asgi import ROUTES
from functions.settings.settings import Settings
from oauth_callback import Keeper
from oauth_callback import Settings as ClientSettings
from tests.client.lifetimes_process import read_clock
from tests.functions.commands import environ_in
from tests.functions.token_endpoint import TokenEndpoint
from tests.system.waiting import wait_until

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class SharedClock:
    """A time in a file that every process reads. It is the keeper's clock, too."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(struct.pack("d", 0.0))
        self.path = path
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    @property
    def seconds(self) -> float:
        """The time."""
        return read_clock(self._shared)

    def now(self) -> datetime:
        """Return the time as the keeper reads it."""
        return EPOCH + timedelta(seconds=self.seconds)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._shared[:8] = struct.pack("d", self.seconds + seconds)


class Server:
    """The keeper behind uvicorn, on a port that is closed while it is down."""

    def __init__(self, application: Application) -> None:
        self.application = application
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Listen."""
        config = uvicorn.Config(self.application, port=self.port, log_config=None)
        self._server = server = uvicorn.Server(config)
        self._thread = Thread(target=lambda: asyncio.run(server.serve()))
        self._thread.start()
        wait_until(lambda: server.started)

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def wait_for_refreshes(self) -> None:
        """Wait until no request or refresh is under way, so that the clock may move."""
        wait_until(lambda: not self.application._running, every=0.001)


@contextmanager
def real_keeper(
    clock: SharedClock, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, **variables: str
) -> Iterator[Server]:
    """Run the keeper with more variables, adopt a login, and set the client's variables."""
    folder = clock.path.parent
    monkeypatch.setattr("functions.wiring.SystemClock", lambda: clock)
    environ = environ_in(folder, **endpoint.environ, **variables)
    server = Server(Application(ROUTES, lambda: Settings.from_environ(environ)))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}"
        client = Keeper(ClientSettings(url, environ["API_KEY"]))
        client.call("POST", "/api/adopt", body={"refresh_token": "of-another-program"})
        monkeypatch.setenv("OAUTH_CALLBACK_URL", url)
        monkeypatch.setenv("OAUTH_CALLBACK_KEY", environ["API_KEY"])
        yield server
    finally:
        server.stop()
