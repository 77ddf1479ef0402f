"""What has happened is stored before anybody is told of it, and tokens are never let go of.

The way to the store: one change (`swap`) that is asked for again under the same etag, an event that
is noted whoever else writes (`keep`), and what becomes of tokens that the store does not take: they
are rescued, and brought to it again later.
"""

import asyncio
import logging
from datetime import timedelta
from typing import assert_never

from domain.decide import decide
from domain.events import (
    AttemptEnded,
    GrantArrived,
    Happened,
    LoginCompleted,
    MoveRequested,
    ReturnRequested,
    TokensRescued,
)
from domain.grant import AuthorizationRequired, Grant
from domain.policy import Policy
from domain.token_endpoint import TokenResponse
from functions.sharing import Shared
from functions.tracing import waiting_for
from ports.clock import Clock
from ports.entropy import Entropy
from ports.rescue import Rescue, Rescued
from ports.store import (
    ConflictError,
    Record,
    Store,
    StoreUnavailableError,
    UnreadableRecordError,
)

# A store that fails is asked again with the same etag: what it holds may be irreplaceable.
SWAP_RETRIES = (timedelta(seconds=0.1), timedelta(seconds=0.4), timedelta(seconds=1.5))
# Beyond that callers are answered first, and the store is asked on for some two minutes; at short
# intervals, because once it is back others may send again what has been spent.
LATE_RETRIES = (timedelta(seconds=1),) * 120

_log = logging.getLogger(__name__)


class UnstoredError(StoreUnavailableError):
    """The store would not take a record, or took it and did not say so."""

    def __init__(self, rescued: Rescued) -> None:
        super().__init__("a change could not be stored")
        self.rescued = rescued


class Recorder:
    """Write to the store, for any number of connections."""

    def __init__(
        self, *, store: Store, clock: Clock, entropy: Entropy, rescue: Rescue, policy: Policy
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._rescue = rescue
        self._policy = policy
        self._late_writes: Shared[None] = Shared()

    async def swap(self, connection: str, record: Record, grant: Grant) -> Record:
        """Store a grant in the place of a record; return the new one.

        Raises ConflictError, UnstoredError.
        """
        etag = self._entropy.token()
        after = Record(grant=grant, etag=etag)
        rescued = Rescued(connection=connection, expected_etag=record.etag, record=after)
        for pause in (*SWAP_RETRIES, None):
            try:
                with waiting_for("store"):
                    await self._store.swap(
                        connection, expected_etag=record.etag, new_etag=etag, grant=grant
                    )
            except ConflictError:
                raise
            except UnreadableRecordError as error:
                raise UnstoredError(rescued) from error
            except Exception as error:
                # Whatever it is, it must not take new tokens with it.
                if not isinstance(error, StoreUnavailableError):
                    _log.exception("connection %s: the store failed unexpectedly", connection)
                if pause is None:
                    raise UnstoredError(rescued) from error
                await asyncio.sleep(pause.total_seconds())
            else:
                break
        return after

    async def keep(self, connection: str, record: Record, event: Happened) -> Record:
        """Store what has happened, whoever else writes; return the record that it left.

        Tokens that the store does not take are not let go of: they are rescued, and brought to it
        again for as long as this instance lives and `finish` waits.

        Raises UnstoredError.
        """
        try:
            return await self._note(connection, record, event)
        except UnstoredError as error:
            if _brings_tokens(event):
                _log.critical("connection %s: new tokens could not be stored yet", connection)
                self._rescue.emit(error.rescued)
                etag = str(error.rescued.record.etag)
                self._late_writes.start(etag, lambda: self._note_later(connection, event))
            raise

    async def finish(self) -> None:
        """Wait until nothing is left to be brought to the store, or it has been tried enough."""
        await self._late_writes.finish()

    async def _note(self, connection: str, record: Record, event: Happened) -> Record:
        while True:
            decision = decide(record.grant, event, self._policy, self._clock.now())
            if decision.grant is record.grant:
                return record
            try:
                after = await self.swap(connection, record, decision.grant)
            except ConflictError as conflict:
                record = conflict.current
            else:
                if isinstance(event, AttemptEnded):
                    _tell_of_an_end(connection, after.grant)
                return after

    async def _note_later(self, connection: str, event: Happened) -> None:
        """Try again to store what has happened; to note it twice changes nothing."""
        for pause in LATE_RETRIES:
            await asyncio.sleep(pause.total_seconds())
            try:
                await self._note(connection, await self._store.load(connection), event)
            except (StoreUnavailableError, UnreadableRecordError):
                continue
            except Exception:  # noqa: BLE001 - whatever it is, the tokens are not let go of
                _log.exception("connection %s: the store failed unexpectedly", connection)
            else:
                return


def _tell_of_an_end(connection: str, after: Grant) -> None:
    if isinstance(after, AuthorizationRequired):
        # An alarm is set on these words: LoginNeeded in infra/aws/template.yaml.
        _log.warning("connection %s: a person has to log in: %s", connection, after.cause.value)


def _brings_tokens(event: Happened) -> bool:
    match event:
        case AttemptEnded(outcome=outcome):
            return isinstance(outcome, TokenResponse)
        case LoginCompleted():
            return True
        case TokensRescued() | GrantArrived():
            # They are in a log or in a file already.
            return False
        case MoveRequested() | ReturnRequested():
            return False
        case _:
            assert_never(event)
