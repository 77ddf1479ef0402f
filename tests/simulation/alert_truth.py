"""The changes of a connection that owe an alert, by the records that the store has had.

Nothing here is taken from the rules that decide which alerts are owed. The states are:

- A login is needed from a refusal, or from the end of the refresh token, until tokens come.
- A client is refused, and refreshes fail for an hour, until tokens come.
- A login that no refresh prolongs ends in so many days. Nobody knows that of some before a refresh:
  the sweep makes one in time.

Some changes are near the border of an instant, or a matter of taste. Those may have an alert; all
others must have one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.alerts import AlertKind, AlertThresholds
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Inactive,
    Refreshing,
    Unauthorized,
    tokens_of,
)
from domain.tokens import Tokens
from tests.simulation.promises import LEASE, SKEW

# Two clocks, and the way of a write to the store.
MARGIN = 2 * SKEW + timedelta(seconds=11)
THRESHOLDS = AlertThresholds()


@dataclass(eq=False, kw_only=True)
class Change:
    """A change of state, `since` an instant. `is_sure`: it must have an alert.

    `ended_at`: when the state was over. `is_lapsed`: nobody knows whether it still holds.
    `is_optional`: it need not have an alert, however long it lasts. `is_heard`: it had one.
    """

    kind: AlertKind
    since: datetime
    is_sure: bool
    causes: frozenset[str | None] = frozenset()
    ended_at: datetime | None = None
    is_lapsed: bool = False
    is_optional: bool = False
    is_heard: bool = False
    alert_id: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.causes or None}) since {self.since:%d %H:%M:%S}"


@dataclass(kw_only=True)
class Truth:
    """One connection. `is_end_fixed`: no refresh prolongs the life of its refresh tokens.

    `is_end_declared`: its provider is known for that, before a refresh shows it.
    """

    is_end_fixed: bool
    is_end_declared: bool
    grant: Grant = field(default_factory=Unauthorized)
    changes: list[Change] = field(default_factory=list)
    open: dict[AlertKind, Change] = field(default_factory=dict)
    looked_at: datetime | None = None
    has_refreshed: bool = False
    is_adopting: bool = False
    # When the first sweep was over: it lets the next one look in time.
    swept_at: datetime | None = None
    _soon: dict[timedelta, Change] = field(default_factory=dict)

    def stored(self, after: Grant, at: datetime, *, is_rescue: bool) -> None:
        """Take in a record that the store has from now on.

        `is_rescue`: the store could not take its tokens when they came.
        """
        self.look(at, is_sure=False)
        # Until its proof, an adoption begins and ends nothing.
        self.is_adopting = isinstance(after, Adopting)
        after = after.earlier if isinstance(after, Adopting) else after
        before, self.grant = self.grant, after
        if isinstance(after, Inactive):
            self._end_all(at)
            self._stop_countdown(at)
        elif _has_new_tokens(before, after):
            self._recover(at)
            self._compare_accounts(before, after, at)
            self._note_login(before, after, at)
        if is_rescue:
            self._add(AlertKind.TOKENS_RESCUED, at, is_sure=True, ended_at=at)
        self.look(at, is_sure=True)

    def restored(self, at: datetime) -> None:
        """Note that an instance has put back what the store had lost."""
        self._add(AlertKind.ROLLED_BACK, at, is_sure=True, ended_at=at)

    def swept(self, began_at: datetime, now: datetime) -> None:
        """Note that a sweep that nothing disturbed is over."""
        is_second = self.swept_at is not None and self.swept_at < began_at
        self.look(began_at, is_sure=True, is_swept=is_second)
        self.swept_at = self.swept_at or now

    def look(self, at: datetime, *, is_sure: bool, is_swept: bool = False) -> None:
        """Compare the states with those before; a sure look finds each that has held a while.

        `is_swept`: a sweep had the chance to find out what a refresh prolongs.
        """
        # Of two looks, the first may be stored last.
        at = self.looked_at = max(at, self.looked_at or at)
        now = {each.kind: each for each in self._states(at)}
        # An attempt in flight reports nothing yet: nobody must notice what its end may undo.
        is_over = not isinstance(self.grant, Refreshing) and not self.is_adopting
        is_sure &= is_over
        for kind, change in self.open.items():
            change.is_lapsed |= is_over and kind not in now
        for kind, state in now.items():
            held = self.open.get(kind)
            if held is None or held.is_lapsed:
                # Nobody knows whether a lapsed state has ended meanwhile.
                state.is_optional = held is not None or self._is_known(state)
                state.is_sure &= is_sure and not state.is_optional
                state.is_heard = held is not None and held.is_heard
                self.open[kind] = state
                self.changes.append(state)
            else:
                held.is_optional |= self._is_known(state) or held.since != state.since
                held.is_sure |= is_sure and state.is_sure and not held.is_optional
        is_known = self.is_end_declared or self.has_refreshed
        self._count_down(at, is_sure=is_sure and is_known, is_swept=is_swept)

    def _states(self, at: datetime) -> Iterator[Change]:
        """Find the states that hold, or may hold, at an instant."""
        grant = self.grant
        failure_state = getattr(grant, "failure_state", None)
        is_login_needed = False
        for state in self._login_needed(failure_state, at):
            is_login_needed = True
            yield state
            break
        if failure_state is not None:
            yield from _failing(failure_state, at, is_login_needed=is_login_needed)
        elif isinstance(grant, Refreshing):
            yield from _lapsed(grant, at)

    def _is_known(self, state: Change) -> bool:
        """Whether people have heard of worse that is not over."""
        worse = {AlertKind.LOGIN_NEEDED, AlertKind.CLIENT_REFUSED} & set(self.open)
        return state.kind is AlertKind.REFRESH_FAILING and bool(worse)

    def _login_needed(self, failure_state: FailureState | None, at: datetime) -> Iterator[Change]:
        kind, tokens = AlertKind.LOGIN_NEEDED, tokens_of(self.grant)
        if isinstance(self.grant, AuthorizationRequired):
            yield Change(
                kind=kind,
                since=self.grant.since,
                is_sure=True,
                causes=frozenset({self.grant.cause.value}),
            )
        expiry = None if tokens is None else tokens.refresh_token_expires_at
        if expiry is not None and at >= expiry - MARGIN:
            causes = frozenset({Cause.REFRESH_TOKEN_EXPIRED.value})
            is_over = at >= expiry + MARGIN
            yield Change(kind=kind, since=expiry, is_sure=is_over, causes=causes)
        if failure_state is not None and failure_state.failure is Failure.REFUSED:
            causes = frozenset({Cause.REFRESH_TOKEN_REJECTED.value})
            yield Change(kind=kind, since=failure_state.at, is_sure=True, causes=causes)

    # Recoveries.

    def _recover(self, at: datetime) -> None:
        """Tokens have come: each open state is over. One alert names one that people heard of."""
        heard = [change.kind.value for change in self.open.values() if change.is_heard]
        self._end_all(at)
        if heard:
            change = self._add(AlertKind.RECOVERED, at, is_sure=True, ended_at=at)
            change.causes = frozenset(heard)

    def _end_all(self, at: datetime) -> None:
        for change in self.open.values():
            change.ended_at = at
        self.open.clear()

    def _stop_countdown(self, at: datetime) -> None:
        for change in self._soon.values():
            change.ended_at = at
        self._soon.clear()

    def _compare_accounts(self, before: Grant, after: Grant, at: datetime) -> None:
        old, new = tokens_of(before), tokens_of(after)
        known = [tokens.subject for tokens in (old, new) if tokens is not None]
        if len(known) == 2 and None not in known and known[0] != known[1]:
            self._add(AlertKind.ACCOUNT_CHANGED, at, is_sure=True, ended_at=at)

    # The days left.

    def _note_login(self, before: Grant, after: Grant, at: datetime) -> None:
        """Begin the countdown of a login; a refresh shows what it does not prolong."""
        old, new = tokens_of(before), tokens_of(after)
        assert new is not None
        self.has_refreshed = old is not None and old.authorized_at == new.authorized_at
        if not self.has_refreshed:
            self._stop_countdown(at)

    def _count_down(self, at: datetime, *, is_sure: bool, is_swept: bool) -> None:
        end, tokens = self.end, tokens_of(self.grant)
        if end is None or tokens is None or at >= end - MARGIN:
            return
        if AlertKind.LOGIN_NEEDED in self.open:
            return
        passed = [each for each in THRESHOLDS.expires_soon if at >= end - each - MARGIN]
        for threshold in passed:
            if threshold not in self._soon:
                since = end - threshold
                self._soon[threshold] = self._add(AlertKind.EXPIRES_SOON, since, is_sure=False)
        if passed:
            # An alert soon after a login would be noise.
            latest, is_long = self._soon[passed[-1]], end - tokens.authorized_at >= 2 * passed[-1]
            # A refresh that fails shows nothing, and one of before was not compared.
            is_clear = isinstance(self.grant, Authorized) and self.grant.failure_state is None
            is_sure |= is_swept and is_clear and latest.since > tokens.issued_at
            latest.is_sure |= is_sure and at >= latest.since + MARGIN and is_long

    @property
    def end(self) -> datetime | None:
        """When the login ends, if no refresh prolongs it."""
        tokens: Tokens | None = tokens_of(self.grant)
        return tokens.refresh_token_expires_at if tokens and self.is_end_fixed else None

    # Alerts.

    def _add(
        self,
        kind: AlertKind,
        since: datetime,
        *,
        is_sure: bool,
        ended_at: datetime | None = None,
    ) -> Change:
        change = Change(kind=kind, since=since, is_sure=is_sure, ended_at=ended_at)
        self.changes.append(change)
        return change

    def explain(self, kind: AlertKind, at: datetime) -> Change | None:
        """Return a change that owes such an alert now, and has none yet; a sure one first."""
        candidates = [
            change
            for change in self.changes
            if change.kind is kind
            and change.alert_id is None
            and (change.ended_at is None or change.ended_at >= at)
        ]
        return max(candidates, key=lambda change: (change.is_sure, change.since), default=None)

    def missing(self) -> list[Change]:
        """Return the changes that must have an alert by now, and have none."""
        return [change for change in self.changes if change.is_sure and change.alert_id is None]


def _failing(
    failure_state: FailureState, at: datetime, *, is_login_needed: bool
) -> Iterator[Change]:
    failure, began = failure_state.failure, failure_state.began_at
    if failure is Failure.MISCONFIGURED:
        yield Change(
            kind=AlertKind.CLIENT_REFUSED,
            since=failure_state.at,
            is_sure=True,
            causes=frozenset({failure.value}),
        )
    due = began + THRESHOLDS.refresh_failing
    if at >= due - MARGIN:
        # The other alerts state the same, and more.
        is_plain = failure not in {Failure.MISCONFIGURED, Failure.REFUSED} and not is_login_needed
        yield Change(
            kind=AlertKind.REFRESH_FAILING,
            since=due,
            is_sure=is_plain and at >= due + MARGIN,
        )


def _has_new_tokens(before: Grant, after: Grant) -> bool:
    if isinstance(after, AuthorizationRequired):
        # Adopted tokens whose first answer was lost, and that were refused then.
        return False
    old, new = tokens_of(before), tokens_of(after)
    return new is not None and (old is None or old.access_token != new.access_token)


def _lapsed(grant: Refreshing, at: datetime) -> Iterator[Change]:
    """Find an attempt whose instance stopped: a failure, though nobody has counted it."""
    since = grant.attempt.started_at + LEASE + THRESHOLDS.refresh_failing
    if at >= since - MARGIN:
        yield Change(kind=AlertKind.REFRESH_FAILING, since=since, is_sure=False)
