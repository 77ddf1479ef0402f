"""Revokes a connection, at the provider and here."""

import logging
from dataclasses import dataclass

from domain.events import RevocationEnded, RevokeRequested
from domain.grant import Moved, Revoked, Revoking
from domain.revoking import result_of
from domain.token_endpoint import RevocationResult
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.refresh.revoker import Revoker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The result of a revocation; None if there was no token."""

    result: RevocationResult | None


class Revocations:
    """Revokes grants."""

    def __init__(self, *, keeper: Keeper, recorder: Recorder, revoker: Revoker) -> None:
        self._keeper = keeper
        self._recorder = recorder
        self._revoker = revoker

    async def revoke(self, connection: str) -> Revocation | Moved:
        """Fence off the grant, revoke it at the provider, and delete it; a moved one stays.

        It can be repeated after an interruption, and continues.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        before = await self._keeper.load(connection)
        record = await self._recorder.keep(connection, before, RevokeRequested())
        match record.grant:
            case Moved() as moved:
                return moved
            case Revoking(request=request):
                outcome = await self._revoker.tell(request)
                ended = RevocationEnded(request=request, outcome=outcome)
                await self._recorder.keep(connection, record, ended)
                result = result_of(outcome)
                _log.warning(
                    "connection %s: revoked; revoked at the provider: %s", connection, result.value
                )
                return Revocation(result=result)
            case Revoked(result=result):
                return Revocation(result=result)
            case _:
                return Revocation(result=None)
