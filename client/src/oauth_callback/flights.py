"""One request for many callers: a flight has one leader, and the others take its result."""

from __future__ import annotations

from threading import Event

from oauth_callback.errors import KeeperError, again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.tokens import Token


class Flight:
    """A request that is under way. `refused` is the access token that it is to replace, or None."""

    def __init__(self, refused: str | None) -> None:
        self.refused = refused
        self._landed = Event()
        self._result: Token | KeeperError | None = None

    def land(self, result: Token | KeeperError | None) -> None:
        """Give the result to all that wait. None if the leader was interrupted."""
        self._result = result
        self._landed.set()

    def wait(self, refused: str | None) -> Token | None:
        """Wait for the result. Return None if it is not the answer to this caller's question.

        Raises KeeperError.
        """
        self._landed.wait()
        result = self._result
        if isinstance(result, KeeperError):
            if (refused is None) == (self.refused is None):
                raise again(result)
            return None
        return None if result is None or result.access_token == refused else result
