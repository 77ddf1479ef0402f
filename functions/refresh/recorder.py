"""Stores each event by compare-and-swap before callers see it, and restores lost records.

- `swap` retries one change with the same etag.
- `keep` stores an event despite concurrent writes. If the store is down, new tokens go to a rescue
  log line, and the write is retried later.
- `load` and `newest` put back a record that this instance remembers, if the store lost it.
- Alerts of a change are in the same write. Their delivery is late work.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.ledger import (
    HistoryEvent,
    Note,
    append_history,
    append_refresh_time,
    count_refresh,
)
from domain.policy import Policy
from functions.observability.tracing import current, waiting_for
from functions.refresh.memory import Memory, next_etag
from functions.refresh.shared_tasks import SharedTasks
from functions.settings.settings import SettingsError
from ports.store import (
    ConflictError,
    Record,
    Store,
    StoreDamagedError,
    StoreUnavailableError,
    UnreadableRecordError,
)

if TYPE_CHECKING:
    # Imported where a change is stored, or a record is lost: a fresh token needs neither.
    from domain.alert_book import AlertBook, Claim
    from domain.alert_changes import News
    from domain.events import Event
    from domain.grant import Grant
    from domain.token_endpoint import RevocationRequest
    from functions.refresh.alert_duty import AlertDuty
    from ports.clock import Clock
    from ports.entropy import Entropy
    from ports.rescue import Rescue, RescuedRecord

# Retries use the same etag: the new tokens may be irreplaceable.
SWAP_RETRIES = (timedelta(seconds=0.1), timedelta(seconds=0.4), timedelta(seconds=1.5))
# Then callers get their answer, and the retries continue for two minutes. The pauses are short:
# once the store is back, another instance may send the used refresh token.
LATE_RETRIES = (timedelta(seconds=1),) * 120

_ROLLED_BACK = "record-rolled-back: the store had an older record"
_GONE = "record-gone: the store had lost the record"
_DAMAGED = "record-damaged: the record in the store cannot be decrypted"
LATE_WRITE = "late-write"
RESCUE_LINE = "rescue-line"
"""How tokens were rescued: the store came back, or `recover` has read the log."""
# The key of one task for all records. Etags are not empty.
_EVERY_RECORD = ""
_WATCH = "the watch of the sweep"

_log = logging.getLogger(__name__)


class UnstoredError(StoreUnavailableError):
    """The store refused a record, or stored it without a confirmation."""

    def __init__(self, rescued: "RescuedRecord", *, why: str) -> None:
        super().__init__(f"a change could not be stored: {why}")
        self.rescued = rescued
        self.why = why


class Recorder:
    """Writes records of any number of connections."""

    def __init__(
        self,
        *,
        store: Store,
        clock: "Clock",
        entropy: "Entropy",
        rescue: "Rescue",
        revoke_late_tokens: "Callable[[str, RevocationRequest], Coroutine[None, None, None]]",
        policy: Policy,
        alerts: "Callable[[], AlertDuty | None]" = lambda: None,
    ) -> None:
        """`revoke_late_tokens` gets tokens that arrive after their connection was revoked.

        `alerts`: None without channels. It is called for a change, so that its import is late.
        """
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._rescue = rescue
        self._revoke_late_tokens = revoke_late_tokens
        self._policy = policy
        self._alerts = alerts
        # Writes and revocations that go on after the callers have their answer.
        self._late_work: SharedTasks[None] = SharedTasks(must_end=True)
        self._memory = Memory()

    async def swap(
        self,
        connection: str,
        record: Record,
        grant: "Grant",
        note: Note | None,
        *,
        now: datetime,
        news: "Sequence[News]" = (),
    ) -> Record:
        """Store a grant, with the note on it in the ledger; return the new record.

        `news`: what the change owes to people by itself.

        Raises ConflictError with the `newest` record, UnstoredError.
        """
        noted = replace(record, grant=grant)
        if note is not None:
            trace = current()
            who = trace.key_name if trace else None
            noted = replace(
                noted,
                ledger=append_history(record.ledger, note, now=now, key_name=who),
                refreshes=count_refresh(record.refreshes, note),
            )
        after = self._with_alerts(noted, record.grant, now=now, news=news)
        written = await self._write(connection, after, over=record)
        self._deliver(connection, written, over=record)
        return written

    def _with_alerts(
        self, record: Record, before: "Grant", *, now: datetime, news: "Sequence[News]" = ()
    ) -> Record:
        """Return the record with what the change from `before` owes; as it is without channels."""
        if (duty := self._duty()) is None:
            return record
        try:
            new_id = self._entropy.token()
            return duty.after(record, before, self._policy, now=now, new_id=new_id, news=news)
        except Exception:  # noqa: BLE001 - no fault of alerts may lose new tokens
            _log.exception("unexpected error of alerts")
            return record

    def _duty(self) -> "AlertDuty | None":
        """Return how alerts are owed; None without channels, or after a fault of their parts."""
        try:
            return self._alerts()
        except SettingsError:
            # The composition root has logged it.
            return None
        except Exception:  # noqa: BLE001 - no fault of alerts may lose new tokens
            _log.exception("unexpected error of alerts")
            return None

    def _deliver(
        self, connection: str, written: Record, *, over: Record
    ) -> asyncio.Task[None] | None:
        """Start to deliver what is owed, if this write took the claim."""
        duty, claim = self._duty(), _claim_of(written)
        if duty is None or claim is None or claim == _claim_of(over):
            return None
        return self._late_work.start(
            f"alerts {claim.id}", lambda: duty.deliver(connection, written, self)
        )

    async def settle(self, connection: str) -> None:
        """Store what time alone has changed for people, and wait until what is owed is delivered.

        Without channels, forget what was owed. Raises SettingsError if none can be used,
        StoreUnavailableError, UnreadableRecordError.
        """
        record = await self.load(connection)
        while (after := self._settled(record)).alerts != record.alerts:
            try:
                written = await self._write(connection, after, over=record)
            except ConflictError as conflict:
                record = conflict.current
                continue
            if (delivery := self._deliver(connection, written, over=record)) is not None:
                await asyncio.shield(delivery)
            return

    def is_settled(self, record: Record) -> bool:
        """Whether `settle` would change nothing. Raises SettingsError if no channel can be used."""
        return self._settled(record).alerts == record.alerts

    def issue_to_refresh(self, record: Record) -> datetime | None:
        """Return the issue of tokens that an alert wants refreshed now; None without channels."""
        if (duty := self._duty()) is None:
            return None
        try:
            return duty.issue_to_refresh(record, self._policy, now=self._clock.now())
        except Exception:  # noqa: BLE001 - no fault of alerts may keep the sweep from a grant
            _log.exception("unexpected error of alerts")
            return None

    def _settled(self, record: Record) -> Record:
        if self._alerts() is None:
            return replace(record, alerts=None)
        return self._with_alerts(record, record.grant, now=self._clock.now())

    async def write_alerts(
        self, connection: str, record: Record, alerts: "AlertBook | None", notes: Sequence[Note]
    ) -> Record:
        """Store the alerts of a record after a delivery, with notes; return the new record.

        Raises ConflictError, StoreUnavailableError.
        """
        ledger = record.ledger
        for note in notes:
            ledger = append_history(ledger, note, now=self._clock.now(), key_name=None)
        after = replace(record, ledger=ledger, alerts=alerts)
        return await self._write(connection, after, over=record)

    async def _write(self, connection: str, record: Record, *, over: Record) -> Record:
        try:
            return await self._put(connection, record, over=over)
        except ConflictError as conflict:
            try:
                newest = await self.newest(connection, conflict.current)
            except UnstoredError as error:
                # Rescue the record to write, too: it is nowhere else.
                rescued = self._prepare_write(connection, record, over=over)
                raise UnstoredError(rescued, why=error.why) from error
            raise ConflictError(newest) from conflict

    async def load(self, connection: str) -> Record:
        """Return the stored record, or a newer one that this instance remembers.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        try:
            record = await self._store.load(connection)
        except UnreadableRecordError as error:
            known = self._memory.get(connection)
            if known is None or not error.is_damaged:
                # A restored key can decrypt it, and it may be newer.
                raise
            from domain.grant import Unauthorized

            damaged = Record(grant=Unauthorized(), etag=error.etag, ledger=())
            record = await self._put_back(connection, known, over=damaged, why=_DAMAGED)
        except StoreDamagedError:
            self._rescue_all()
            raise
        return await self.newest(connection, record)

    async def newest(self, connection: str, record: Record) -> Record:
        """Return a record that was read, or put back the newer one that this instance remembers.

        It is put back by compare-and-swap, so that a newer write wins over a stale read. Its
        refresh token may be used already.

        Raises UnstoredError.
        """
        while (newer := self._memory.newer_than(connection, record)) is not None:
            why = _GONE if record.etag is None else _ROLLED_BACK
            record = await self._put_back(connection, newer, over=record, why=why)
        self._memory.remember(connection, record)
        return record

    async def _put_back(self, connection: str, known: Record, *, over: Record, why: str) -> Record:
        """Replace a record by the remembered one, unless another write is faster."""
        from domain.failures import mark_in_doubt

        now = self._clock.now()
        grant = mark_in_doubt(known.grant, self._policy, now)
        restored = self._with_alerts(
            replace(known, grant=grant), known.grant, now=now, news=self._news_of_loss(why)
        )
        try:
            record = await self._put(connection, restored, over=over)
        except ConflictError as conflict:
            return conflict.current
        except UnstoredError:
            self._rescue_all()
            raise
        # docs/encryption-keys.md and an alarm name these words.
        _log.critical("connection %s: %s; the newest known one is restored", connection, why)
        self._deliver(connection, record, over=known)
        if why is not _ROLLED_BACK:
            # A loss seldom concerns one record only.
            self._late_work.start(_EVERY_RECORD, self._check_all)
        return record

    def _news_of_loss(self, why: str) -> "Sequence[News]":
        if self._duty() is None:
            return ()
        from domain.alert_changes import News
        from domain.alerts import AlertKind

        # Programs get the words before the colon, as operators do in the log.
        return (News(kind=AlertKind.ROLLED_BACK, cause=why.partition(":")[0]),)

    async def _check_all(self) -> None:
        """Put back every remembered record that is missing in the store."""
        for connection in self._memory.connections():
            with suppress(StoreUnavailableError, UnreadableRecordError):
                await self.load(connection)

    def _rescue_all(self) -> None:
        """Write a rescue line for every remembered record, once."""
        from domain.grant import tokens_of

        for connection, record in self._memory.take_unrescued():
            if tokens_of(record.grant) is not None:
                self._rescue.emit(_rescued(connection, record, expected_etag=None))

    async def _put(self, connection: str, record: Record, *, over: Record) -> Record:
        """Replace a record, with the next etag."""
        rescued = self._prepare_write(connection, record, over=over)
        written = rescued.record
        for pause in (*SWAP_RETRIES, None):
            try:
                with waiting_for("store"):
                    await self._store.swap(connection, written, expected_etag=over.etag)
            except ConflictError:
                raise
            except UnreadableRecordError as error:
                raise UnstoredError(rescued, why=str(error)) from error
            except Exception as error:
                # No error of the store may lose new tokens.
                if isinstance(error, StoreDamagedError):
                    self._rescue_all()
                elif not isinstance(error, StoreUnavailableError):
                    _log.exception("connection %s: unexpected error of the store", connection)
                if pause is None:
                    raise UnstoredError(rescued, why=_reason(error)) from error
                await asyncio.sleep(pause.total_seconds())
            else:
                break
        self._memory.remember(connection, written)
        return written

    def _prepare_write(self, connection: str, record: Record, *, over: Record) -> "RescuedRecord":
        etag = next_etag(record.etag, self._entropy.token(), over=over.etag)
        written = replace(record, etag=etag, is_sealed_by_older_key=False)
        return _rescued(connection, written, expected_etag=over.etag)

    async def keep(self, connection: str, record: Record, event: "Event") -> Record:
        """Store an event despite concurrent writes; return the new record.

        If the store is down, new tokens go to a rescue line, and the write is retried while this
        instance runs and `finish` waits.

        Raises UnstoredError.
        """
        try:
            return await self._apply_and_store(connection, record, event)
        except UnstoredError as error:
            from domain.events import brings_new_tokens

            if brings_new_tokens(event):
                _log.critical(
                    "connection %s: new tokens could not be stored yet; they are in the log, "
                    "encrypted, and the write is retried (%s)",
                    connection,
                    error.why,
                )
                self._rescue.emit(error.rescued)
                etag = str(error.rescued.record.etag)
                self._late_work.start(etag, lambda: self._retry_later(connection, event))
            raise

    async def finish(self) -> None:
        """Wait until late writes and revocations are done, or given up."""
        await self._late_work.finish()

    async def _apply_and_store(
        self, connection: str, record: Record, event: "Event", *, is_late: bool = False
    ) -> Record:
        from domain.decide import apply
        from domain.events import AttemptEnded

        news = self._news_of_rescue(event, is_late=is_late)
        took = None if is_late else _refresh_time(event, self._clock.now())
        while True:
            now = self._clock.now()
            effect = apply(record.grant, event, self._policy, now)
            if effect.to_revoke is not None:
                self._revoke_late(connection, effect.to_revoke)
            if effect.grant is record.grant:
                return record
            try:
                after = await self.swap(
                    connection,
                    self._with_refresh_time(record, took),
                    effect.grant,
                    effect.note,
                    now=now,
                    news=news,
                )
            except ConflictError as conflict:
                record = conflict.current
            else:
                if isinstance(event, AttemptEnded):
                    self._watch_sweep()
                    if not _ends_adoption(effect.note):
                        _log_refusal(connection, after.grant)
                return after

    def _with_refresh_time(self, record: Record, took: timedelta | None) -> Record:
        if took is None:
            return record
        longest = self._policy.request_timeout
        times = append_refresh_time(record.refresh_times, took, longest=longest)
        return replace(record, refresh_times=times)

    def _watch_sweep(self) -> None:
        duty = self._duty()
        if duty is not None and duty.watch_sweep is not None:
            self._late_work.start(_WATCH, duty.watch_sweep)

    def _news_of_rescue(self, event: "Event", *, is_late: bool) -> "Sequence[News]":
        """Return that tokens were rescued: they were in the log, and now they are stored."""
        if self._duty() is None:
            return ()
        from domain.alert_changes import News
        from domain.alerts import AlertKind
        from domain.events import TokensRescued

        if not is_late and not isinstance(event, TokensRescued):
            return ()
        cause = LATE_WRITE if is_late else RESCUE_LINE
        return (News(kind=AlertKind.TOKENS_RESCUED, cause=cause),)

    def _revoke_late(self, connection: str, request: "RevocationRequest") -> None:
        name = f"revoke {request.token}"
        self._late_work.start(name, lambda: self._revoke_late_tokens(connection, request))

    async def _retry_later(self, connection: str, event: "Event") -> None:
        """Retry storing an event, which is idempotent."""
        for pause in LATE_RETRIES:
            await asyncio.sleep(pause.total_seconds())
            try:
                record = await self.load(connection)
                await self._apply_and_store(connection, record, event, is_late=True)
            except (StoreUnavailableError, UnreadableRecordError):
                continue
            except Exception:  # noqa: BLE001 - no error may lose the tokens
                _log.exception("connection %s: unexpected error of the store", connection)
            else:
                return


def _reason(error: Exception) -> str:
    # The text of another error than the store's own may quote what is stored.
    return str(error) if isinstance(error, StoreUnavailableError) else type(error).__name__


def _claim_of(record: Record) -> "Claim | None":
    return None if record.alerts is None else record.alerts.claim


def _rescued(connection: str, record: Record, *, expected_etag: str | None) -> "RescuedRecord":
    # Imported here, because a fresh token stores nothing. So are events.
    from ports.rescue import RescuedRecord

    return RescuedRecord(connection=connection, expected_etag=expected_etag, record=record)


def _refresh_time(event: "Event", now: datetime) -> timedelta | None:
    """Return how long an attempt took that brought tokens by now; None for other events.

    It began before its intent was stored. Its answer takes about as long to store, so callers of
    other instances wait for about this time.
    """
    from domain.events import AttemptEnded
    from domain.token_endpoint import TokenResponse

    match event:
        case AttemptEnded(attempt=attempt, outcome=TokenResponse()):
            return now - attempt.started_at
        case _:
            return None


def _ends_adoption(note: Note | None) -> bool:
    """Whether adopted tokens were refused. The grant is an earlier one then."""
    return note is not None and note.event is HistoryEvent.ADOPTION_REFUSED


def _log_refusal(connection: str, after: "Grant") -> None:
    from domain.grant import AuthorizationRequired, Authorized, Failure, FailureState

    match after:
        case AuthorizationRequired(cause=cause):
            # An alarm is set on these words: LoginNeeded in infra/aws/template.yaml.
            _log.warning("connection %s: a person has to log in: %s", connection, cause.value)
        case Authorized(failure_state=FailureState(failure=Failure.REFUSED, retry_at=last_try_at)):
            _log.warning(
                "connection %s: the provider refuses the refresh token; the access token is served "
                "until it expires, and the last try is at %s",
                connection,
                last_try_at.isoformat(timespec="seconds"),
            )
        case _:
            pass
