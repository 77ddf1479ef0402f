"""What has happened is stored before anybody is told of it, and tokens are never let go of.

The way to the store: one change (`swap`) that is asked for again under the same etag, an event that
is noted whoever else writes (`keep`), and what becomes of tokens that the store does not take: they
are rescued, and brought to it again later.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from domain.commands import RevokeToken
from domain.decide import decide
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    Happened,
    LoginCompleted,
    MoveRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensRescued,
)
from domain.failures import doubted
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Failure,
    Grant,
    Setbacks,
    Unauthorized,
    tokens_of,
)
from domain.noting import noted
from domain.policy import Policy
from domain.token_endpoint import TokenResponse
from functions.observability.tracing import current, waiting_for
from functions.refresh.memory import Memory, next_etag
from functions.refresh.revoker import Revoker
from functions.refresh.sharing import Shared
from ports.clock import Clock
from ports.entropy import Entropy
from ports.rescue import Rescue, Rescued
from ports.store import (
    ConflictError,
    Record,
    Store,
    StoreDamagedError,
    StoreUnavailableError,
    UnreadableRecordError,
)

# A store that fails is asked again with the same etag: what it holds may be irreplaceable.
SWAP_RETRIES = (timedelta(seconds=0.1), timedelta(seconds=0.4), timedelta(seconds=1.5))
# Beyond that callers are answered first, and the store is asked on for some two minutes; at short
# intervals, because once it is back others may send again what has been spent.
LATE_RETRIES = (timedelta(seconds=1),) * 120

_ROLLED_BACK = "record-rolled-back: an older record was in the place of a newer one"
_GONE = "record-gone: there was no record any more in the place of one"
_DAMAGED = "record-damaged: nobody can read what was in the place of a record"
# No etag.
_ALL = ""

_log = logging.getLogger(__name__)


class UnstoredError(StoreUnavailableError):
    """The store would not take a record, or took it and did not say so."""

    def __init__(self, rescued: Rescued) -> None:
        super().__init__("a change could not be stored")
        self.rescued = rescued


class Recorder:
    """Write to the store, for any number of connections."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        rescue: Rescue,
        revoker: Revoker,
        policy: Policy,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._rescue = rescue
        self._revoker = revoker
        self._policy = policy
        self._late_writes: Shared[None] = Shared(must_end=True)
        self._memory = Memory()

    async def swap(
        self, connection: str, record: Record, grant: Grant, event: Event, *, now: datetime
    ) -> Record:
        """Store what an event has made of a record, and note it; return the new one.

        Raises ConflictError with the `newest` record, UnstoredError.
        """
        trace = current()
        who = trace.key_name if trace else None
        ledger = noted(record.ledger, record.grant, event, grant, now=now, who=who)
        after = replace(record, grant=grant, ledger=ledger)
        return await self._write(connection, after, over=record)

    async def rewrite(self, connection: str, record: Record) -> Record:
        """Store a record as it is once more, sealed anew; return the new one.

        Raises ConflictError with the `newest` record, UnstoredError.
        """
        return await self._write(connection, record, over=record)

    async def _write(self, connection: str, record: Record, *, over: Record) -> Record:
        try:
            return await self._put(connection, record, over=over)
        except ConflictError as conflict:
            try:
                newest = await self.newest(connection, conflict.current)
            except UnstoredError as error:
                # Not only what could not be put back: what was to be written is nowhere else.
                raise UnstoredError(self._to_write(connection, record, over=over)) from error
            raise ConflictError(newest) from conflict

    async def load(self, connection: str) -> Record:
        """Return the record that is stored, or what this instance knows better.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        try:
            record = await self._store.load(connection)
        except UnreadableRecordError as error:
            known = self._memory.get(connection)
            if known is None or not error.is_damaged:
                # With a key that comes back it can be read again, and may be newer.
                raise
            damaged = Record(grant=Unauthorized(), etag=error.etag, ledger=())
            record = await self._put_back(connection, known, over=damaged, why=_DAMAGED)
        except StoreDamagedError:
            self._rescue_what_is_known()
            raise
        return await self.newest(connection, record)

    async def newest(self, connection: str, record: Record) -> Record:
        """Return a record that was read, or the newer one that this instance knows of, put back.

        It is put back only where the older one, or none, is in the store indeed, and has not just
        been read before somebody wrote: what it holds may be a refresh token that is spent.

        Raises UnstoredError.
        """
        while (newer := self._memory.newer_than(connection, record)) is not None:
            why = _GONE if record.etag is None else _ROLLED_BACK
            record = await self._put_back(connection, newer, over=record, why=why)
        self._memory.note(connection, record)
        return record

    async def _put_back(self, connection: str, known: Record, *, over: Record, why: str) -> Record:
        """Put what is known in the place of another record, unless somebody else is faster."""
        grant = doubted(known.grant, self._policy, self._clock.now())
        try:
            record = await self._put(connection, replace(known, grant=grant), over=over)
        except ConflictError as conflict:
            return conflict.current
        except UnstoredError:
            self._rescue_what_is_known()
            raise
        # To be found in logs by these words: docs/encryption-keys.md.
        _log.critical("connection %s: %s, which is put back", connection, why)
        if why is not _ROLLED_BACK:
            # What has happened to one record has seldom happened to that one only.
            self._late_writes.start(_ALL, self._look_at_all)
        return record

    async def _look_at_all(self) -> None:
        """Put back whatever is known and not in the store any more."""
        for connection in self._memory.connections():
            with suppress(StoreUnavailableError, UnreadableRecordError):
                await self.load(connection)

    def _rescue_what_is_known(self) -> None:
        """Put all that this instance remembers where it outlives this instance, once."""
        for connection, record in self._memory.put_elsewhere():
            if tokens_of(record.grant) is not None:
                rescued = Rescued(connection=connection, expected_etag=None, record=record)
                self._rescue.emit(rescued)

    async def _put(self, connection: str, record: Record, *, over: Record) -> Record:
        """Write a record, with the next etag after its own, in the place of another."""
        rescued = self._to_write(connection, record, over=over)
        written = rescued.record
        for pause in (*SWAP_RETRIES, None):
            try:
                with waiting_for("store"):
                    await self._store.swap(connection, written, expected_etag=over.etag)
            except ConflictError:
                raise
            except UnreadableRecordError as error:
                raise UnstoredError(rescued) from error
            except Exception as error:
                # Whatever it is, it must not take new tokens with it.
                if isinstance(error, StoreDamagedError):
                    self._rescue_what_is_known()
                elif not isinstance(error, StoreUnavailableError):
                    _log.exception("connection %s: unexpected error of the store", connection)
                if pause is None:
                    raise UnstoredError(rescued) from error
                await asyncio.sleep(pause.total_seconds())
            else:
                break
        self._memory.note(connection, written)
        return written

    def _to_write(self, connection: str, record: Record, *, over: Record) -> Rescued:
        etag = next_etag(record.etag, self._entropy.token(), over=over.etag)
        written = Record(grant=record.grant, etag=etag, ledger=record.ledger)
        return Rescued(connection=connection, expected_etag=over.etag, record=written)

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
                _log.critical(
                    "connection %s: new tokens could not be stored yet; they are in the log, "
                    "encrypted, and the write is retried",
                    connection,
                )
                self._rescue.emit(error.rescued)
                etag = str(error.rescued.record.etag)
                self._late_writes.start(etag, lambda: self._note_later(connection, event))
            raise

    async def finish(self) -> None:
        """Wait until nothing is left to be brought anywhere, or it has been tried enough."""
        await self._late_writes.finish()
        await self._revoker.finish()

    async def _note(self, connection: str, record: Record, event: Happened) -> Record:
        while True:
            now = self._clock.now()
            decision = decide(record.grant, event, self._policy, now)
            if isinstance(decision.command, RevokeToken):
                self._revoker.tell_late(connection, decision.command.request)
            if decision.grant is record.grant:
                return record
            try:
                after = await self.swap(connection, record, decision.grant, event, now=now)
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
                await self._note(connection, await self.load(connection), event)
            except (StoreUnavailableError, UnreadableRecordError):
                continue
            except Exception:  # noqa: BLE001 - whatever it is, the tokens are not let go of
                _log.exception("connection %s: unexpected error of the store", connection)
            else:
                return


def _tell_of_an_end(connection: str, after: Grant) -> None:
    match after:
        case AuthorizationRequired(cause=cause):
            # An alarm is set on these words: LoginNeeded in infra/aws/template.yaml.
            _log.warning("connection %s: a person has to log in: %s", connection, cause.value)
        case Authorized(setbacks=Setbacks(failure=Failure.REFUSED, retry_at=last_try_at)):
            _log.warning(
                "connection %s: the provider refuses the refresh token; the access token is served "
                "until it expires, and the last try is at %s",
                connection,
                last_try_at.isoformat(timespec="seconds"),
            )
        case _:
            pass


def _brings_tokens(event: Happened) -> bool:
    match event:
        case AttemptEnded(outcome=outcome):
            return isinstance(outcome, TokenResponse)
        case LoginCompleted():
            return True
        case TokensRescued() | GrantArrived():
            # They are in a log or in a file already.
            return False
        case MoveRequested() | ReturnRequested() | RevokeRequested() | RevocationEnded():
            return False
        case _:
            assert_never(event)
