"""Revokes grants and late tokens, at the provider with retries: rules 13 and 14 of `decide.py`."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from domain.error_meanings import classify
from domain.events import RevocationEnded, RevokeRequested
from domain.grant import Failure, Moved, Revoked, Revoking
from domain.revoking import result_of
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
)
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from ports.authorization_server import AuthorizationServer

# The caller waits, and most HTTP clients time out after 30 seconds.
BUDGET = timedelta(seconds=15)
FIRST_PAUSE = timedelta(seconds=0.5)
PAUSE_GROWTH = 2
# RFC 7009 §2.2.1: a 503 may be retried. Revoking twice does no harm, so other failures may be, too.
_RETRIED = frozenset({Failure.NOT_SENT, Failure.UNKNOWN, Failure.UNAVAILABLE})

_log = logging.getLogger(__name__)


class Revocations:
    """Ends a grant here, revokes it at the provider, and stores the result."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        recorder: Recorder,
        server: Callable[[], AuthorizationServer],
    ) -> None:
        """`server` is called for each request, so that its import is late."""
        self._keeper = keeper
        self._recorder = recorder
        self._server = server

    async def revoke(self, connection: str) -> RevocationResult | Moved | None:
        """End the grant here, revoke it at the provider, and delete its tokens (rule 13).

        A moved grant stays.

        Returns the provider's result, None if there was no token. A repeated call continues an
        interrupted one.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        before = await self._keeper.load(connection)
        record = await self._recorder.keep(connection, before, RevokeRequested())
        match record.grant:
            case Moved() as moved:
                return moved
            case Revoking(request=request):
                outcome = await self._request(request)
                ended = RevocationEnded(request=request, outcome=outcome)
                await self._recorder.keep(connection, record, ended)
                result = result_of(outcome)
                _log.warning(
                    "connection %s: revoked; revoked at the provider: %s", connection, result.value
                )
                return result
            case Revoked(result=result):
                return result
            case _:
                return None

    async def revoke_late_tokens(self, connection: str, request: RevocationRequest) -> None:
        """Revoke tokens that arrived after the revocation (rule 14). Raises nothing."""
        result = result_of(await self._request(request))
        level = logging.WARNING if result is RevocationResult.FAILED else logging.INFO
        _log.log(
            level,
            "connection %s: tokens arrived after it was revoked; revoked at the provider: %s",
            connection,
            result.value,
        )

    async def _request(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the request, with retries within the budget, which limits Retry-After as well."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        give_up_at = loop.time() + BUDGET.total_seconds()
        outcome: RevocationOutcome = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(give_up_at):
                while True:
                    outcome = await self._send(request)
                    wait = max(pause, _requested_wait(outcome)).total_seconds()
                    if not _may_pass(outcome) or loop.time() + wait >= give_up_at:
                        break
                    await asyncio.sleep(wait)
                    pause *= PAUSE_GROWTH
        return outcome

    async def _send(self, request: RevocationRequest) -> RevocationOutcome:
        try:
            return await self._server().revoke_token(request)
        except Exception as error:  # noqa: BLE001 - the port promises none, and the owner waits
            _log.exception("unexpected error of the provider client")
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=type(error).__name__)


def _may_pass(outcome: RevocationOutcome) -> bool:
    """Whether a retry may succeed."""
    return not isinstance(outcome, RevocationResult) and classify(outcome) in _RETRIED


def _requested_wait(outcome: RevocationOutcome) -> timedelta:
    wait = outcome.retry_after if isinstance(outcome, TokenErrorResponse) else None
    return wait or timedelta(0)
