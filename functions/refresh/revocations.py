"""Revocations: a connection is ended by its owner, here and at the provider."""

import logging
from dataclasses import dataclass

from domain.events import RevocationEnded, RevokeRequested
from domain.grant import Moved, Revoked, Revoking
from domain.revocation import RevocationResult
from domain.revoking import result_of
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.refresh.revoker import Revoker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What became of the last token; `result` is None where there was none to end."""

    result: RevocationResult | None


class Revocations:
    """End grants."""

    def __init__(self, *, keeper: Keeper, recorder: Recorder, revoker: Revoker) -> None:
        self._keeper = keeper
        self._recorder = recorder
        self._revoker = revoker

    async def revoke(self, connection: str) -> Revocation | Moved:
        """Fence the grant off, tell the provider, and forget; what was handed over is left alone.

        Where it ends in the middle it can be asked for again, and goes on from there.

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
