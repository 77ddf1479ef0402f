"""Requests to the provider's revocation endpoint, with retries."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from domain.failures import classify
from domain.grant import Failure
from domain.revoking import result_of
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
)
from functions.refresh.sharing import Shared
from ports.authorization_server import AuthorizationServer

# The caller waits, and most HTTP clients time out after 30 seconds.
BUDGET = timedelta(seconds=15)
FIRST_PAUSE = timedelta(seconds=0.5)
PAUSE_GROWTH = 2
# RFC 7009 §2.2.1: a 503 may be retried. Revoking twice does no harm, so other failures may be, too.
_PASSING = frozenset({Failure.NOT_SENT, Failure.UNKNOWN, Failure.UNAVAILABLE})

_log = logging.getLogger(__name__)


class Revoker:
    """Revokes tokens at the provider."""

    def __init__(self, *, server: Callable[[], AuthorizationServer]) -> None:
        """`server` is called for each request, so that its import is late."""
        self._server = server
        self._late: Shared[None] = Shared(must_end=True)

    async def tell(self, request: RevocationRequest) -> RevocationOutcome:
        """Revoke a token within the budget, which limits Retry-After as well. Raises nothing."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        give_up_at = loop.time() + BUDGET.total_seconds()
        outcome: RevocationOutcome = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(give_up_at):
                while True:
                    outcome = await self._send(request)
                    wait = max(pause, _asked_to_wait(outcome)).total_seconds()
                    if not _passes(outcome) or loop.time() + wait >= give_up_at:
                        break
                    await asyncio.sleep(wait)
                    pause *= PAUSE_GROWTH
        return outcome

    def tell_late(self, connection: str, request: RevocationRequest) -> None:
        """Revoke, in the background, a token that arrived after its connection was revoked."""
        self._late.start(request.token, lambda: self._tell_late(connection, request))

    async def finish(self) -> None:
        """Wait until background revocations are done, or given up."""
        await self._late.finish()

    async def _tell_late(self, connection: str, request: RevocationRequest) -> None:
        result = result_of(await self.tell(request))
        level = logging.WARNING if result is RevocationResult.FAILED else logging.INFO
        _log.log(
            level,
            "connection %s: tokens arrived after it was revoked; revoked at the provider: %s",
            connection,
            result.value,
        )

    async def _send(self, request: RevocationRequest) -> RevocationOutcome:
        try:
            return await self._server().revoke_token(request)
        except Exception as error:  # noqa: BLE001 - the port promises none, and the owner waits
            _log.exception("unexpected error of the provider client")
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=type(error).__name__)


def _passes(outcome: RevocationOutcome) -> bool:
    """Whether a retry may succeed."""
    if isinstance(outcome, RevocationResult):
        return False
    return classify(outcome) in _PASSING


def _asked_to_wait(outcome: RevocationOutcome) -> timedelta:
    wish = outcome.retry_after if isinstance(outcome, TokenErrorResponse) else None
    return wish or timedelta(0)
