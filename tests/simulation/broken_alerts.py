"""Mutants of the outbox: what is owed, when it is delivered, and how it is marked.

Each function replaces a real one while its patch lasts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from domain import (
    alert_changes,
    alert_conditions,
    alert_delivery,
    alert_expiries,
    sweep_alerts,
)
from domain.alert_book import AlertBook, Condition
from domain.alert_conditions import Watch
from domain.alert_delivery import AfterRound, Needs, Result
from domain.alerts import Alert, AlertKind, AlertThresholds
from domain.grant import Active, Adopting, Cause, Failure, Grant, Revoked, tokens_of
from domain.ledger import Note
from domain.tokens import Tokens
from functions.alerts import delivery, outlets, sweep_watch
from functions.alerts.delivery import BookWriter, Delivery
from functions.alerts.first_walk import FirstWalk, Progress
from functions.alerts.message import AlertMessage
from functions.alerts.outlets import Outlet
from functions.alerts.sweep_watch import SweepWatch
from functions.refresh import alert_duty
from functions.refresh.alert_duty import AlertDuty
from functions.refresh.recorder import Recorder
from ports.store import ConflictError, Record

Compose = Callable[[Alert], Awaitable[AlertMessage]]


# The alerts that are owed.


def owe_nothing_with_the_change(patch: pytest.MonkeyPatch) -> None:
    def mutant(_self: AlertDuty, record: Record, before: Grant, *args: Any, **parts: Any) -> Record:
        is_change = record.grant != before
        return record if is_change else after(_self, record, before, *args, **parts)

    after = AlertDuty.after
    patch.setattr(AlertDuty, "after", mutant)


def forget_the_conditions(patch: pytest.MonkeyPatch) -> None:
    def mutant(*args: Any, **parts: Any) -> AlertBook | None:
        book = after(*args, **parts)
        return None if book is None else replace(book, open=())

    after = alert_changes.book_after
    _patch_book_after(patch, mutant)


def close_no_condition(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, *args: Any) -> Condition | None:
        return after(book, *args) or book.condition(*alert_conditions.TROUBLE)

    after = alert_conditions.trouble_after
    patch.setattr(alert_changes, "trouble_after", mutant)


def recover_while_a_request_is_in_flight(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "settled", lambda grant, _watch: grant)
    patch.setattr(alert_conditions, "_stays", lambda *_args: False)


def recover_by_another_failure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_conditions, "_stays", lambda *_args: False)


def report_a_revocation_as_a_recovery(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "is_over", lambda _grant: False)


def ask_for_a_login_after_a_revocation(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, watch: Watch) -> Cause | None:
        return Cause.REVOKED if isinstance(grant, Revoked) else cause(grant, watch)

    cause = alert_conditions.login_cause
    patch.setattr(alert_conditions, "is_over", lambda _grant: False)
    for module in (alert_conditions, alert_changes):
        patch.setattr(module, "login_cause", mutant)


def repeat_each_threshold(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "known_ending", lambda *_args: None)


def check_nothing_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "_check_at", lambda *_args: None)


def ask_nothing_before_a_threshold(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertDuty, "issue_to_refresh", lambda *_args, **_parts: None)


def call_the_first_failure_long(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: AlertDuty, *args: Any, **parts: Any) -> Record:
        hasty = replace(self, thresholds=AlertThresholds(refresh_failing=timedelta(seconds=30)))
        return after(hasty, *args, **parts)

    after = AlertDuty.after
    patch.setattr(AlertDuty, "after", mutant)


def compare_no_accounts(patch: pytest.MonkeyPatch) -> None:
    def mutant(_before: Grant, after: Grant, news: Sequence[Any]) -> object:
        return of_change(after, after, news)

    of_change = alert_changes._of_change
    patch.setattr(alert_changes, "_of_change", mutant)


def report_each_change_of_trouble_as_a_recovery(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, found: AlertBook, current: Grant, watch: Watch) -> Iterator[Alert]:
        was, trouble = (each.condition(*alert_conditions.TROUBLE) for each in (book, found))
        if was is not None and trouble is not None and was.kind is not trouble.kind:
            yield alert_changes._alert(AlertKind.RECOVERED, current, was.kind.value)
        yield from of_conditions(book, found, current, watch)

    of_conditions = alert_changes._of_conditions
    patch.setattr(alert_changes, "_of_conditions", mutant)


def take_a_refused_client_for_an_outage(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, book: AlertBook, watch: Watch) -> AlertKind | None:
        kind = trouble_of(grant, book, watch)
        return None if kind is AlertKind.CLIENT_REFUSED else kind

    trouble_of = alert_conditions._trouble_of
    patch.setattr(alert_conditions, "_trouble_of", mutant)


def wait_for_the_final_refusal(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, watch: Watch) -> Cause | None:
        failures = alert_conditions.failures_of(grant)
        is_refused = failures is not None and failures.failure is Failure.REFUSED
        return None if is_refused else cause(grant, watch)

    cause = alert_conditions.login_cause
    for module in (alert_conditions, alert_changes):
        patch.setattr(module, "login_cause", mutant)


def stay_at_the_longest_threshold(patch: pytest.MonkeyPatch) -> None:
    def mutant(tokens: Tokens, end: datetime, watch: Watch) -> timedelta | None:
        all_ = alert_expiries.thresholds_of(tokens, end, watch)
        return max((each for each in all_ if watch.now >= end - each), default=None)

    patch.setattr(alert_expiries, "_reached", mutant)


def expect_each_refresh_to_prolong_the_login(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "unprolonged_after", lambda *_args: None)


def take_each_expiry_for_the_end_of_the_login(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, _book: AlertBook, _now: datetime) -> datetime | None:
        return grant.tokens.refresh_token_expires_at if isinstance(grant, Active) else None

    for module in (alert_expiries, alert_changes):
        patch.setattr(module, "login_end", mutant)


def put_back_in_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recorder, "_news_of_loss", lambda *_args: ())


def rescue_in_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recorder, "_news_of_rescue", lambda *_args, **_parts: ())


def send_before_storing(patch: pytest.MonkeyPatch) -> None:
    write = Recorder._write

    async def mutant(self: Recorder, connection: str, record: Record, *, over: Record) -> Record:
        self._deliver(connection, record, over=over)
        return await write(self, connection, record, over=over)

    patch.setattr(Recorder, "_write", mutant)


def drop_what_has_little_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_delivery, "MAX_OWED", 3)


def _patch_book_after(patch: pytest.MonkeyPatch, mutant: Callable[..., object]) -> None:
    patch.setattr(alert_duty, "book_after", mutant)


def judge_adopted_tokens_before_their_proof(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, watch: Watch) -> Grant | None:
        return settled(grant.grant if isinstance(grant, Adopting) else grant, watch)

    settled = alert_conditions.settled
    patch.setattr(alert_changes, "settled", mutant)


def compare_the_accounts_of_unproven_tokens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "_proven_tokens", tokens_of)


# The deployment's own alert, and connections of before.


def watch_no_sweep(patch: pytest.MonkeyPatch) -> None:
    async def mutant(_self: SweepWatch) -> None:
        return

    patch.setattr(SweepWatch, "check_now_and_then", mutant)


def repeat_that_the_sweep_is_overdue(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, *args: Any, **parts: Any) -> AlertBook:
        return after(replace(book, open=()), *args, **parts)

    after = sweep_alerts._with_condition
    patch.setattr(sweep_alerts, "_with_condition", mutant)


def report_a_sweep_after_a_day(patch: pytest.MonkeyPatch) -> None:
    init = SweepWatch.__init__

    def mutant(self: SweepWatch, **parts: Any) -> None:
        init(self, **{**parts, "overdue_after": timedelta(hours=20)})

    patch.setattr(SweepWatch, "__init__", mutant)


def deliver_nothing_of_the_deployment(patch: pytest.MonkeyPatch) -> None:
    def mutant(*args: Any, **parts: Any) -> AlertBook:
        return replace(after(*args, **parts), claim=None)

    after = sweep_alerts.sweep_book_after
    patch.setattr(sweep_watch, "sweep_book_after", mutant)


def wait_for_the_channel_that_is_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweep_alerts, "is_claimed", lambda *_args: True)


def walk_through_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FirstWalk, "_progress", lambda *_args: Progress(None, is_done=True))


# One instance delivers.


def ignore_the_claim(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_changes, "is_claimed", lambda *_args: False)
    patch.setattr(alert_delivery, "is_claimed", lambda *_args: False)


def leave_the_claim_to_the_sweep(patch: pytest.MonkeyPatch) -> None:
    def mutant(
        book: AlertBook | None, before: Grant, after: Grant, *args: Any, **parts: Any
    ) -> AlertBook | None:
        found = book_after(book, before, after, *args, **parts)
        if found is None or before == after:
            return found
        return replace(found, claim=None if book is None else book.claim)

    book_after = alert_changes.book_after
    _patch_book_after(patch, mutant)


def deliver_after_each_write(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Recorder, connection: str, written: Record, *, over: Record) -> object:
        return deliver(self, connection, written, over=replace(over, alerts=None))

    deliver = Recorder._deliver
    patch.setattr(Recorder, "_deliver", mutant)


def let_a_claim_last_for_ever(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, _now: datetime) -> bool:
        return book.claim is not None

    patch.setattr(alert_changes, "is_claimed", mutant)
    patch.setattr(alert_delivery, "is_claimed", mutant)


def forget_the_next_try(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertBook, "next_try_at", property(lambda _book: None))


def leave_deliveries_to_the_writer(patch: pytest.MonkeyPatch) -> None:
    async def mutant(_self: Recorder, _connection: str) -> None:
        return

    patch.setattr(Recorder, "settle", mutant)


def deliver_before_the_answer(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(self: Recorder, connection: str, *args: Any, **parts: Any) -> Record:
        written = await swap(self, connection, *args, **parts)
        claim = None if written.alerts is None else written.alerts.claim
        if claim and (task := self._late_work.get(f"alerts {claim.id}")) is not None:
            await task
        return written

    patch.setattr(Recorder, "swap", mutant)


# Sends.


def mark_before_sending(patch: pytest.MonkeyPatch) -> None:
    send = Outlet.send

    async def mutant(
        self: Outlet, connection: str, alerts: Sequence[Alert], *args: Any, **parts: Any
    ) -> Result:
        task = asyncio.create_task(send(self, connection, alerts, *args, **parts))
        _running.add(task)
        return Result(self.name, took=frozenset(alert.id for alert in alerts))

    _running: set[asyncio.Task[Result]] = set()
    patch.setattr(Outlet, "send", mutant)


def send_the_newest_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delivery, "queue", lambda *args: alert_delivery.queue(*args)[::-1])


def go_on_after_a_failure(patch: pytest.MonkeyPatch) -> None:
    send = Outlet.send

    async def mutant(
        self: Outlet, connection: str, alerts: Sequence[Alert], *args: Any, **parts: Any
    ) -> Result:
        results = [await send(self, connection, [alert], *args, **parts) for alert in alerts]
        took = frozenset[str]().union(*(result.took for result in results))
        return results[-1]._replace(took=took)

    patch.setattr(Outlet, "send", mutant)


def change_the_id_with_each_try(patch: pytest.MonkeyPatch) -> None:
    queue, serial = Delivery._queue, count()

    def mutant(self: Delivery, *args: Any) -> Sequence[Alert]:
        return [replace(each, id=f"{each.id}-{next(serial)}") for each in queue(self, *args)]

    patch.setattr(Delivery, "_queue", mutant)


def ask_one_channel_after_the_other(patch: pytest.MonkeyPatch) -> None:
    send, turn = Outlet.send, asyncio.Lock

    async def mutant(self: Outlet, connection: str, *args: Any, **parts: Any) -> Result:
        async with turns.setdefault(self._clock, turn()):
            return await send(self, connection, *args, **parts)

    turns: dict[object, asyncio.Lock] = {}
    patch.setattr(Outlet, "send", mutant)


def wait_for_an_answer_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outlets, "SEND_LIMIT", timedelta(days=1))


def stop_at_an_unexpected_error(patch: pytest.MonkeyPatch) -> None:
    async def mutant(self: Outlet, _connection: str, alert: Alert, compose: Compose) -> None:
        await self._channel.send(await compose(alert))

    patch.setattr(Outlet, "_try", mutant)


def ask_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Outlet, "_is_gone", property(lambda _self: False, lambda *_args: None), raising=False
    )


# After a round of sends.


def take_one_channel_for_all(patch: pytest.MonkeyPatch) -> None:
    def mutant(
        book: AlertBook, results: Iterable[Result], needs: Needs, *args: Any, **parts: Any
    ) -> AfterRound:
        took = frozenset[str]().union(*(result.took for result in results))
        shared = [result._replace(took=took) for result in results]
        return alert_delivery.after_round(book, shared, needs, *args, **parts)

    patch.setattr(delivery, "after_round", mutant)


def drop_for_all_what_one_refused(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, results: Iterable[Result], *args: Any, **parts: Any) -> AfterRound:
        is_over = any(result.has_failed for result in results)
        ended = [result._replace(is_gone=is_over or result.is_gone) for result in results]
        return alert_delivery.after_round(book, ended, *args, **parts)

    patch.setattr(delivery, "after_round", mutant)


def mark_nothing(patch: pytest.MonkeyPatch) -> None:
    def mutant(book: AlertBook, results: Iterable[Result], *args: Any, **parts: Any) -> AfterRound:
        forgotten = [result._replace(took=frozenset(), has_failed=True) for result in results]
        return alert_delivery.after_round(book, forgotten, *args, **parts)

    patch.setattr(delivery, "after_round", mutant)


def give_up(after: timedelta) -> Callable[[pytest.MonkeyPatch], None]:
    def apply(patch: pytest.MonkeyPatch) -> None:
        init = Delivery.__init__

        def mutant(self: Delivery, **parts: Any) -> None:
            init(self, **{**parts, "give_up_after": after})

        patch.setattr(Delivery, "__init__", mutant)

    return apply


def give_up_in_silence(patch: pytest.MonkeyPatch) -> None:
    write = Recorder.write_alerts

    async def mutant(
        self: Recorder,
        connection: str,
        record: Record,
        alerts: AlertBook | None,
        _notes: Sequence[Note],
    ) -> Record:
        return await write(self, connection, record, alerts, [])

    patch.setattr(Recorder, "write_alerts", mutant)


def reset_the_book_on_a_conflict(patch: pytest.MonkeyPatch) -> None:
    write = Recorder.write_alerts

    async def mutant(self: Recorder, *args: Any) -> Record:
        try:
            return await write(self, *args)
        except ConflictError as conflict:
            raise ConflictError(replace(conflict.current, alerts=None)) from conflict

    patch.setattr(Recorder, "write_alerts", mutant)


def write_over_newer_alerts(patch: pytest.MonkeyPatch) -> None:
    write = Recorder.write_alerts

    async def mutant(
        self: BookWriter,
        connection: str,
        record: Record,
        alerts: AlertBook | None,
        notes: Sequence[Note],
    ) -> Record:
        while True:
            try:
                return await write(self, connection, record, alerts, notes)  # type: ignore[arg-type]
            except ConflictError as conflict:
                record = conflict.current

    patch.setattr(Recorder, "write_alerts", mutant)


def wait_a_second_between_tries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(alert_delivery, "BACKOFF", (timedelta(seconds=1),) * 6)
