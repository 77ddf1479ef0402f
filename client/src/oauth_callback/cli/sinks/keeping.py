"""Keeps token files fresh: asks for the next token in time, and replaces the files."""

from __future__ import annotations

from threading import Lock

from oauth_callback.cli.exits import CommandFailed
from oauth_callback.cli.output import print_message
from oauth_callback.clocks import elapsed
from oauth_callback.errors import KeeperError
from oauth_callback.held import hold
from oauth_callback.pauses import Pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from oauth_callback.cli.sinks.files import Sink
    from oauth_callback.keeper import Keeper
    from oauth_callback.tokens import TokenAnswer

_LONGEST_SLEEP = 30.0
"""Seconds. The clock of a wait stands still while a laptop sleeps, the tokens' does not."""


class FreshFiles:
    """The files of one connection. The old ones stay while there is no newer token."""

    def __init__(
        self,
        keeper: Keeper,
        connection: str | None,
        sinks: Sequence[Sink],
        *,
        min_ttl: int | None,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        """`clock` is in seconds, `min_ttl` as for the token's request."""
        self._keeper = keeper
        self._connection = connection
        self._sinks = sinks
        self._min_ttl = min_ttl
        self._clock = clock
        self._pause = Pause()
        self._writing = Lock()
        self._is_closed = False
        self._written: str | None = None
        self._reported: str | None = None
        self.next_at = clock()

    def start(self, answer: TokenAnswer) -> None:
        """Write the first token. Raises CommandFailed."""
        self._accept(answer, self._clock())

    def keep(self, stop: Event) -> None:
        """Replace the files in time, until the event is set. Failures are reported once each."""
        while not stop.wait(min(_LONGEST_SLEEP, max(0.0, self.next_at - self._clock()))):
            if self._clock() >= self.next_at:
                self.renew()

    def close(self) -> None:
        """Wait until no file is being written, and write none from then on."""
        with self._writing:
            self._is_closed = True

    def renew(self) -> None:
        """Ask for a token, and write it if it is another one."""
        asked_at = self._clock()
        try:
            answer = self._keeper.token(self._connection, min_ttl=self._min_ttl)
            self._accept(answer, asked_at)
        except KeeperError as error:
            self.next_at = self._pause.failed(error, now=self._clock(), has_token=True)
            self._report(str(error))
        except CommandFailed as error:
            failure = KeeperError(str(error))
            self.next_at = self._pause.failed(failure, now=self._clock(), has_token=True)
            self._report(str(error))
        else:
            self._recovered()

    def _accept(self, answer: TokenAnswer, asked_at: float) -> None:
        if answer.token.access_token != self._written:
            self._write(answer)
            self._written = answer.token.access_token
        held = hold(answer, asked_at=asked_at, answered_at=self._clock(), min_ttl=self._min_ttl)
        self.next_at = held.ask_at

    def _write(self, answer: TokenAnswer) -> None:
        with self._writing:
            for sink in [] if self._is_closed else self._sinks:
                sink.write(answer)

    def _report(self, message: str) -> None:
        if message != self._reported:
            print_message(f"{message} The files keep the old token.")
            self._reported = message

    def _recovered(self) -> None:
        self._pause = Pause()
        if self._reported is not None:
            print_message("The files are fresh again.")
            self._reported = None
