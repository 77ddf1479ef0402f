"""Alerts hold for any story: none without its state, none twice, none missed, each in order."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alert_book import EMPTY, AlertBook, record_due_at
from domain.alert_conditions import TROUBLE
from domain.alert_delivery import (
    Result,
    after_round,
    claimed,
    is_deliverable,
    next_send_at,
    owe,
    queue,
)
from domain.alerts import Alert, AlertKind
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Revoked,
    Unauthorized,
    due_at,
)
from domain.provider import GrantType, LifetimeStart
from domain.questions import missing_authorization
from domain.token_endpoint import RevocationResult
from domain.tokens import Tokens
from tests.domain.alert_stories import Connection
from tests.domain.examples import DAY, MINUTE, T0, TOKENS
from tests.strategies import books, grants, instants
from tests.thorough import times

HOUR = timedelta(hours=1)
HALF_DAY = timedelta(hours=12)
THREE_DAYS = 3 * DAY
CHANNELS = ("one", "two")


@st.composite
def some_tokens(draw: st.DrawFn) -> Tokens:
    """Tokens of the first days, which end in the weeks after that, or without an end."""
    issued_at = T0 + draw(st.integers(0, 3)) * DAY
    lives = st.none() | st.sampled_from([HOUR, DAY, 5 * DAY, 20 * DAY, 40 * DAY])
    life, access, end = draw(lives), draw(lives), draw(lives)
    has_refresh_token = draw(st.booleans())
    return replace(
        TOKENS,
        generation=draw(st.integers(0, 3)),
        authorized_at=T0,
        issued_at=issued_at,
        subject=draw(st.sampled_from([None, "one", "two"])),
        expires_at=None if access is None else issued_at + access,
        refresh_token="refresh" if has_refresh_token else None,
        refresh_token_expires_at=issued_at + life if has_refresh_token and life else None,
        refresh_token_counted=draw(st.sampled_from(LifetimeStart)),
        login_expires_at=issued_at + end if has_refresh_token and end else None,
    )


@st.composite
def some_grants(draw: st.DrawFn) -> Grant:
    tokens = draw(some_tokens())
    since = T0 + draw(st.integers(0, 72)) * HOUR
    failure = FailureState(
        failures=draw(st.integers(0, 2)),
        failure=draw(st.sampled_from(Failure)),
        at=since,
        retry_at=since,
        in_doubt_since=None,
        since=since,
    )
    states: list[Grant] = [
        Unauthorized(),
        Authorized(tokens=tokens),
        Authorized(tokens=tokens, failure_state=failure),
        AuthorizationRequired(
            tokens=tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=since
        ),
        Revoked(at=since, result=RevocationResult.REVOKED),
        Moved(grant=Authorized(tokens=tokens), since=since),
    ]
    return draw(st.sampled_from(states))


def shows(kind: AlertKind, grant: Grant, now: datetime) -> bool:
    """Whether a grant is in the state that an alert names, as `GET /api/verify` judges."""
    failed = grant.failure_state if isinstance(grant, Authorized) else None
    match kind:
        case AlertKind.LOGIN_NEEDED:
            missing = missing_authorization(grant, now, GrantType.AUTHORIZATION_CODE)
            return missing is not None or (failed is not None and failed.failure is Failure.REFUSED)
        case AlertKind.CLIENT_REFUSED:
            return failed is not None and failed.failure is Failure.MISCONFIGURED
        case AlertKind.REFRESH_FAILING:
            return failed is not None and now - failed.began_at >= HOUR
        case AlertKind.EXPIRES_SOON:
            return isinstance(grant, Authorized)
        case _:
            return isinstance(grant, Authorized | AuthorizationRequired | Unauthorized | Moved)


@settings(max_examples=times(100))
@given(story=st.lists(st.tuples(some_grants(), st.integers(0, 60 * 24)), min_size=1, max_size=8))
def test_no_alert_is_owed_without_its_state_or_twice(story: list[tuple[Grant, int]]) -> None:
    connection, now, open_ = Connection(), T0 + 4 * DAY, None
    for grant, minutes in story:
        now += minutes * MINUTE
        for kind in connection.change(grant, now):
            assert shows(kind, grant, now)
            if kind in TROUBLE:
                assert kind is not open_
                open_ = kind
            elif kind is AlertKind.RECOVERED:
                assert open_ is not None
                open_ = None
        if isinstance(grant, Revoked | Moved):
            open_ = None
        assert connection.settle(now) == []
        found = (connection.book or EMPTY).condition(*TROUBLE)
        assert (found and found.kind) is open_


@settings(max_examples=times(60))
@given(grant=some_grants())
def test_looking_when_a_record_is_due_misses_nothing_that_looking_all_the_time_finds(
    grant: Grant,
) -> None:
    now, end = T0 + 4 * DAY, T0 + 50 * DAY
    often = Connection(grant=grant)
    found = []
    # All that may happen happens at whole days.
    for halves in range((end - now) // HALF_DAY + 1):
        at = now + halves * HALF_DAY
        found += [(kind, at) for kind in often.settle(at)]
    seldom, at, looked = Connection(grant=grant), now, []
    while True:
        looked += [(kind, at) for kind in seldom.settle(at)]
        if seldom.book is not None:
            seldom.deliver_all()
        due = record_due_at(grant, seldom.book)
        if due is None or due > end:
            break
        # A grant that stays due is in each sweep.
        at = due if due > at else T0 + ((at - T0) // HALF_DAY + 1) * HALF_DAY
        if at > end:
            break
    assert looked == found
    assert due_at(grant) is None or record_due_at(grant, seldom.book) is not None


@st.composite
def some_results(draw: st.DrawFn, book: AlertBook, now: datetime) -> list[Result]:
    """Each channel takes some of its alerts in order, and then may fail."""
    results = []
    for channel in CHANNELS:
        lacking = queue(book, channel, now)
        if not lacking:
            continue
        took = lacking[: draw(st.integers(0, len(lacking)))]
        is_over = len(took) == len(lacking)
        how = draw(st.sampled_from(["has_failed", "is_postponed", "is_gone", "fine"]))
        result = Result(channel, took=frozenset(alert.id for alert in took))
        if how != "fine" and not is_over and how != "is_gone":
            is_asked = how == "has_failed"
            result = result._replace(has_failed=is_asked, is_postponed=not is_asked)
        results.append(result)
    return results


def needs(_alert: Alert) -> set[str]:
    return set(CHANNELS)


@settings(max_examples=times(100))
@given(book=st.none() | books, before=grants, after=grants, now=instants)
def test_no_grant_and_no_book_is_an_error_and_to_look_again_owes_nothing_more(
    book: AlertBook | None, before: Grant, after: Grant, now: datetime
) -> None:
    connection = Connection(grant=before, book=book)
    connection.change(after, now)
    record_due_at(after, connection.book)
    assert connection.settle(now) == []


class Outbox:
    """A book, and what the channels took and will never take, in the order of time."""

    def __init__(self) -> None:
        self.book, self.now = EMPTY, T0
        self.owed: list[str] = []
        self.taken: dict[str, list[str]] = {channel: [] for channel in CHANNELS}
        self.given_up: dict[str, set[str]] = {channel: set() for channel in CHANNELS}

    def owe(self, count: int) -> None:
        """Add alerts whose ids are their numbers."""
        first = len(self.owed)
        ids = [f"{number}" for number in range(first, first + count)]
        self.owed += ids
        alerts = [Alert(id=id_, kind=AlertKind.LOGIN_NEEDED, at=self.now) for id_ in ids]
        self.book = owe(self.book, alerts, self.now)

    def send(self, results: list[Result], *, is_stored: bool) -> None:
        """Let the channels take alerts. Without a stored end, the instance has stopped."""
        for result in results:
            self.taken[result.channel] += [
                each.alert.id for each in self.book.owed if each.alert.id in result.took
            ]
        if is_stored:
            after = after_round(self.book, results, needs, self.now, give_up_after=THREE_DAYS)
            self.book = after.book
            for alert, channels in after.given_up:
                for channel in channels:
                    self.given_up[channel].add(alert.id)

    def all_works(self) -> list[Result]:
        """Return the results of channels that take all they lack."""
        return [
            Result(name, took=frozenset(each.id for each in queue(self.book, name, self.now)))
            for name in CHANNELS
        ]


@settings(max_examples=times(100))
@given(data=st.data())
def test_each_channel_takes_every_alert_in_order_unless_it_was_given_up(
    data: st.DataObject,
) -> None:
    box = Outbox()
    for _ in range(data.draw(st.integers(1, 6))):
        box.now += data.draw(st.sampled_from([MINUTE, HOUR, DAY, 4 * DAY]))
        box.owe(data.draw(st.integers(0, 2)))
        if is_deliverable(box.book, box.now):
            box.book = claimed(box.book, "claim", box.now)
            assert not is_deliverable(box.book, box.now)
            results = data.draw(some_results(box.book, box.now))
            box.send(results, is_stored=data.draw(st.booleans()))
        assert (box.book.next_try_at is not None) is (box.book.owed != ())
    # From here everything works.
    box.now += 7 * HOUR
    assert is_deliverable(box.book, box.now) is (box.book.owed != ())
    box.send(box.all_works(), is_stored=True)
    assert (box.book, next_send_at(box.book, needs, box.now)) == (EMPTY, None)
    for channel in CHANNELS:
        first = list(dict.fromkeys(box.taken[channel]))
        assert first == [each for each in box.owed if each in first]
        assert set(first) | box.given_up[channel] == set(box.owed)
