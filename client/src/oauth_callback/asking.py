"""Asks the keeper for a token, and again after failures that may pass."""

from __future__ import annotations

from oauth_callback.errors import KeeperError, NotConfigured, TryLater
from oauth_callback.held import Held, hold
from oauth_callback.pauses import Pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from oauth_callback.keeper import Keeper
    from oauth_callback.tokens import TokenAnswer

REFUSED_AGAIN = "token-refused-again"

_PATIENCE_WITH_TOKEN = 5.0
"""Seconds for a request while the old token is valid, because a caller waits for it."""
_REFRESH_GUARD = 10.0
"""Seconds in which an older keeper does not refresh again."""


class Failed:
    """A failure that may pass, and the time of the next try."""

    __slots__ = ("error", "next_try")

    def __init__(self, error: KeeperError, *, next_try: float) -> None:
        self.error = error
        self.next_try = next_try


class Asker:
    """Asks for the token of one connection. One thread at a time."""

    def __init__(
        self,
        keeper: Keeper,
        connection: str | None,
        *,
        min_ttl: int | None,
        wait: float,
        timeout: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """The durations are in seconds."""
        self._keeper = keeper
        self._connection = connection
        self._min_ttl = min_ttl
        self._wait = wait
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        # An API that refuses every token delays no caller whose API takes them.
        self._pause = Pause()
        self._pause_of_refused = Pause()

    def obtain(self, old: Held | None, *, refused: str | None) -> Held:
        """Return a token: another one than `refused`, if `old` is that one.

        While the keeper is unavailable, `old` is returned until it expires, unless it is refused.

        Raises KeeperError.
        """
        give_up_at = self._clock() + self._wait
        pause = self._pause if refused is None else self._pause_of_refused
        while True:
            outcome = self._attempt(pause, old, refused)
            if isinstance(outcome, Held):
                return outcome
            if refused is None and old is not None and old.is_valid(self._clock()):
                _log(outcome.error)
                return old.ask_again(outcome.next_try)
            if outcome.next_try > give_up_at or not _can_pass(outcome.error):
                raise outcome.error
            self._sleep(max(0.0, outcome.next_try - self._clock()))

    def _attempt(self, pause: Pause, old: Held | None, refused: str | None) -> Held | Failed:
        """Ask once, if the keeper did not ask for patience. Raises KeeperError."""
        asked_at = self._clock()
        if (unanswered := pause.error(asked_at)) is not None:
            return Failed(unanswered, next_try=pause.until)
        has_token = refused is None and old is not None and old.is_valid(asked_at)
        failure: KeeperError
        try:
            answer = self._ask(old, refused, has_token=has_token)
        except (TryLater, NotConfigured) as error:
            failure = error
        else:
            self._succeeded(old, answer)
            return hold(answer, asked_at=asked_at, answered_at=self._clock(), min_ttl=self._min_ttl)
        next_try = pause.failed(failure, now=self._clock(), has_token=has_token)
        return Failed(failure, next_try=next_try)

    def _ask(self, old: Held | None, refused: str | None, *, has_token: bool) -> TokenAnswer:
        timeout = min(self._timeout, _PATIENCE_WITH_TOKEN) if has_token else self._timeout
        if old is None or not old.is_token(refused):
            return self._token(timeout)
        generation = old.token.generation
        if generation is None:
            self._keeper.refresh(self._connection, timeout=timeout)
        answer = self._token(timeout, refused=generation)
        if answer.token.access_token == refused:
            raise TryLater(
                "The API refuses the token, and the keeper has no newer one yet. Check the API's "
                "answer, or try later.",
                retry_after=_REFRESH_GUARD,
                problem=REFUSED_AGAIN,
            )
        return answer

    def _token(self, timeout: float, refused: int | None = None) -> TokenAnswer:
        return self._keeper.token(
            self._connection, min_ttl=self._min_ttl, refused=refused, timeout=timeout
        )

    def _succeeded(self, old: Held | None, answer: TokenAnswer) -> None:
        self._pause = Pause()
        if old is None or not old.is_token(answer.token.access_token):
            self._pause_of_refused = Pause()


def _log(error: KeeperError) -> None:
    """Log a failure that callers do not notice."""
    # It costs a short command 8 ms.
    import logging

    logger = logging.getLogger("oauth_callback")
    logger.warning("No new token: %s The current one is served until it expires.", error)


def _can_pass(error: KeeperError) -> bool:
    """Whether a retry within seconds may help."""
    return isinstance(error, TryLater) and error.problem != REFUSED_AGAIN
