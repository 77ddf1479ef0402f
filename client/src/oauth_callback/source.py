"""An access token that works now, from memory where possible.

- The keeper is asked again when it will have another token, before the old one expires.
- All threads and coroutines share one request. While the old token is valid, only the caller that
  sends the request waits for it, 5 seconds at most.
- While the keeper is unavailable, the old token is served until it expires.
- A token that the API refused is replaced by one request, for any number of callers.
"""

from __future__ import annotations

import os
import time
from threading import Lock
from weakref import WeakSet

from oauth_callback.asking import Asker
from oauth_callback.clocks import elapsed
from oauth_callback.errors import KeeperError, NotConfigured
from oauth_callback.flights import Flight
from oauth_callback.in_thread import InThread
from oauth_callback.keeper import DEFAULT_TIMEOUT, Keeper
from oauth_callback.settings import load_settings
from oauth_callback.tokens import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from oauth_callback.held import Held

DEFAULT_WAIT = 30.0
"""Seconds, for a restart of the keeper or a slow refresh."""


class TokenSource:
    """Serves the access token of one connection. Make one, and share it between threads.

    - `url`, `key`, `key_file`, `profile`, `allow_http`: as `load_settings` looks them up.
    - `connection`: the connection's id. The keeper's default is `default`.
    - `min_ttl`: seconds for which a token is valid at least when it is served. Default 60.
    - `wait`: seconds to retry without a token before `TryLater` is raised. Default 30.
    - `timeout`: seconds for one request. Default 30.
    - `keeper` replaces the first ones. `clock` and `sleep` are for tests.

    Raises NotConfigured.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        connection: str | None = None,
        *,
        min_ttl: int | None = None,
        key_file: str | None = None,
        profile: str | None = None,
        allow_http: bool | None = None,
        wait: float = DEFAULT_WAIT,
        timeout: float = DEFAULT_TIMEOUT,
        keeper: Keeper | None = None,
        clock: Callable[[], float] = elapsed,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if min_ttl is not None and (type(min_ttl) is not int or not 0 <= min_ttl < 10**9):
            raise NotConfigured("Invalid min_ttl. Use a whole number of seconds, 0 or more.")
        if keeper is None:
            settings = load_settings(
                url=url, key=key, key_file=key_file, profile=profile, allow_http=allow_http
            )
            keeper = Keeper(settings)
        self.connection = connection
        self.keeper = keeper
        self._asker = Asker(
            keeper,
            connection,
            min_ttl=min_ttl,
            wait=wait,
            timeout=timeout,
            clock=clock,
            sleep=sleep,
        )
        self._clock = clock
        self._held: Held | None = None
        self._lock = Lock()
        self._flight: Flight | None = None
        self._in_thread = InThread()
        _SOURCES.add(self)

    def token(self) -> str:
        """Return an access token that works now. Raises KeeperError."""
        return self.get().access_token

    def __call__(self) -> str:
        """Do as `token`."""
        return self.get().access_token

    async def atoken(self) -> str:
        """Do as `token`, without blocking the event loop."""
        return (await self.aget()).access_token

    def get(self, refused: Token | str | None = None) -> Token:
        """Return the token, with its expiry.

        `refused` is a token that the API has answered with 401. The result is another one.

        Raises LoginNeeded, TryLater, KeyRefused, NotConfigured.
        """
        value = _access_token(refused)
        while True:
            token = self._ready(value) or self._fly(value)
            if token is not None:
                return token

    async def aget(self, refused: Token | str | None = None) -> Token:
        """Do as `get`, without blocking the event loop."""
        value = _access_token(refused)
        token = self._ready(value)
        if token is None and value is None and self._in_thread.is_pending(None):
            token = self._valid()
        if token is not None:
            return token
        return await self._in_thread.run(value, lambda: self.get(value))

    def after_fork(self) -> None:
        """Replace the locks in a new process, where the threads that hold them do not exist."""
        self._lock = Lock()
        self._flight = None
        self._in_thread = InThread()

    def __repr__(self) -> str:
        return f"<TokenSource connection={self.connection!r} {self.keeper.settings!r}>"

    def _ready(self, refused: str | None) -> Token | None:
        """Return the token in memory if it is the answer."""
        held, now = self._held, self._clock()
        if held is None:
            return None
        is_answer = (
            held.is_current(now)
            if refused is None
            else held.is_valid(now) and not held.is_token(refused)
        )
        return held.token if is_answer else None

    def _valid(self) -> Token | None:
        """Return the token in memory if it has not expired, even if it is time to ask again."""
        held = self._held
        return held.token if held is not None and held.is_valid(self._clock()) else None

    def _fly(self, refused: str | None) -> Token | None:
        """Ask the keeper, or wait for the thread that does. Return None to start over.

        Raises KeeperError.
        """
        with self._lock:
            current = self._flight
            flight = self._flight = current or Flight(refused)
        if current is None:
            return self._lead(flight)
        old = self._valid() if refused is None else None
        return flight.wait(refused) if old is None else old

    def _lead(self, flight: Flight) -> Token | None:
        result: Token | KeeperError | None = None
        try:
            # Another flight may have ended since this caller looked.
            result = self._ready(flight.refused) or self._ask(flight.refused)
        except KeeperError as error:
            result = error
            raise
        finally:
            with self._lock:
                self._flight = None
            flight.land(result)
        return None if result.access_token == flight.refused else result

    def _ask(self, refused: str | None) -> Token:
        self._held = self._asker.obtain(self._held, refused=refused)
        return self._held.token


def _access_token(refused: Token | str | None) -> str | None:
    return refused.access_token if isinstance(refused, Token) else refused


_SOURCES: WeakSet[TokenSource] = WeakSet()


def _after_fork() -> None:
    for source in list(_SOURCES):
        source.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
