"""The contract of every store: a record per connection, swaps, single-use logins, counts."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.alert_book import AlertBook, Claim, Owed
from domain.alerts import Alert, AlertKind
from domain.authorization import PendingLogin
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Unauthorized,
)
from domain.ledger import Ledger
from domain.tokens import Tokens
from ports.store import ConflictError, Due, Record, RecordPage, Store
from tests.domain.examples import LEDGER
from tests.ports.store_contract import CONTENDED, Contender, StoreInUse
from tests.records import record_of
from tests.strategies import LONG_TOKEN_LENGTH, books, grants, ids, ledgers, pending_logins
from tests.thorough import times

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NOTHING = record_of(Unauthorized(), None)
TOKENS = Tokens(
    generation=3,
    authorized_at=NOW,
    issued_at=NOW,
    access_token="access",
    token_type="Bearer",
    scope=None,
    expires_at=NOW + timedelta(minutes=30),
    refresh_token="refresh",
    refresh_token_expires_at=NOW + timedelta(days=90),
)
PENDING = PendingLogin(
    connection="default",
    redirect_uri="https://keeper.example/api/callback",
    code_verifier="verifier",
    expires_at=NOW + timedelta(minutes=10),
)
FAR = NOW + timedelta(days=10_000)
SERIAL = count()
of_one_store = settings(
    max_examples=times(40), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
contended = pytest.mark.parametrize(
    "kind", CONTENDED, ids=[kind.name for kind in CONTENDED], indirect=True
)


def authorized(number: int) -> Authorized:
    return Authorized(tokens=replace(TOKENS, access_token=f"access-{number}"))


def refreshing(started_at: datetime) -> Refreshing:
    attempt = Attempt(
        id="attempt", authorized_at=started_at, generation=3, client="client", started_at=started_at
    )
    return Refreshing(tokens=TOKENS, attempt=attempt, failure_state=None)


def in_doubt(retry_at: datetime) -> Authorized:
    failure_state = FailureState(
        failures=1, failure=Failure.UNKNOWN, at=NOW, retry_at=retry_at, in_doubt_since=NOW
    )
    return Authorized(tokens=TOKENS, failure_state=failure_state)


async def conflict_of(
    store: Store, connection: str, *, expected: str | None, new: str, grant: Grant
) -> Record:
    with pytest.raises(ConflictError) as caught:
        await store.swap(connection, record_of(grant, new), expected_etag=expected)
    return caught.value.current


# Records


async def test_a_connection_without_a_record_is_unauthorized_and_has_no_etag(
    in_use: StoreInUse,
) -> None:
    assert await in_use.open().load("default") == NOTHING


async def test_a_record_is_replaced_as_a_whole_its_ledger_with_its_grant(
    in_use: StoreInUse,
) -> None:
    store = in_use.open()
    first = record_of(authorized(1), "one", LEDGER[:1])
    await store.swap("default", first, expected_etag=None)
    assert await in_use.open().load("default") == first
    second = record_of(authorized(1), "two", LEDGER)
    await store.swap("default", second, expected_etag="one")
    assert await in_use.open().load("default") == second
    with pytest.raises(ConflictError) as caught:
        await store.swap("default", record_of(authorized(2), "three"), expected_etag="one")
    assert caught.value.current == second
    third = record_of(authorized(1), "three")
    await store.swap("default", third, expected_etag="two")
    assert await in_use.open().load("default") == third


async def test_a_record_of_one_instance_is_read_and_replaced_by_another(in_use: StoreInUse) -> None:
    first, second = in_use.open(), in_use.open()
    await first.swap("default", record_of(authorized(1), "one"), expected_etag=None)
    assert await second.load("default") == record_of(authorized(1), "one")
    await second.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    assert await first.load("default") == record_of(authorized(2), "two")


async def test_checklist_46_a_swap_that_expects_another_record_returns_the_present_one(
    in_use: StoreInUse,
) -> None:
    store = in_use.open()
    there = record_of(authorized(1), "one")
    await store.swap("default", there, expected_etag=None)
    for expected in ("other", None, "", "ONE", "one "):
        found = await conflict_of(
            store, "default", expected=expected, new="two", grant=refreshing(NOW)
        )
        assert found == there
    found = await conflict_of(store, "missing", expected="one", new="two", grant=refreshing(NOW))
    assert found == NOTHING
    assert await store.load("default") == there
    assert await store.load("missing") == NOTHING
    assert await due(store, NOW) == []


async def test_an_unauthorized_record_has_an_etag(in_use: StoreInUse) -> None:
    store = in_use.open()
    forgotten = record_of(Unauthorized(), "one")
    await store.swap("default", forgotten, expected_etag=None)
    assert await store.load("default") == forgotten
    found = await conflict_of(store, "default", expected=None, new="two", grant=authorized(2))
    assert found == forgotten


async def test_a_repeated_swap_succeeds(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("there", record_of(authorized(1), "one"), expected_etag=None)
    for connection, before in (("new", None), ("there", "one")):
        for instance in (store, store, in_use.open()):
            await instance.swap(connection, record_of(authorized(2), "two"), expected_etag=before)
        assert await store.load(connection) == record_of(authorized(2), "two")


async def test_a_swap_repeated_after_a_later_one_is_a_conflict(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("default", record_of(authorized(1), "one"), expected_etag=None)
    await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    await store.swap("default", record_of(authorized(3), "three"), expected_etag="two")
    found = await conflict_of(store, "default", expected="one", new="two", grant=authorized(2))
    assert found == record_of(authorized(3), "three")
    assert await store.load("default") == found


@of_one_store
@given(grant=grants, ledger=ledgers, alerts=st.none() | books, connection=ids, etag=ids)
@example(
    grant=AuthorizationRequired(
        tokens=replace(
            TOKENS, access_token="é" * LONG_TOKEN_LENGTH, refresh_token="🐎" * LONG_TOKEN_LENGTH
        ),
        cause=Cause.REFRESH_ANSWER_LOST,
        client="client",
        since=NOW,
    ),
    ledger=LEDGER,
    alerts=None,
    connection="příliš žluťoučký 🐎/../'\"",
    etag="%+:/ é",
)
async def test_every_record_comes_back_as_it_was_stored(
    in_use: StoreInUse,
    *,
    grant: Grant,
    ledger: Ledger,
    alerts: AlertBook | None,
    connection: str,
    etag: str,
) -> None:
    store = in_use.open()
    before = await store.load(connection)
    stored = record_of(grant, f"{before.etag}{etag}", ledger, alerts)
    await store.swap(connection, stored, expected_etag=before.etag)
    assert await store.load(connection) == stored
    found = await conflict_of(store, connection, expected="", new="", grant=Unauthorized())
    assert found == stored


async def test_connections_are_independent(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("one", record_of(authorized(1), "same"), expected_etag=None)
    for other in ("two", "ONE", "one ", "", "one%"):
        assert await store.load(other) == NOTHING
        await store.swap(other, record_of(authorized(2), "same"), expected_etag=None)
        await store.swap(other, record_of(authorized(3), "next"), expected_etag="same")
        assert await store.load("one") == record_of(authorized(1), "same")
        assert await store.load(other) == record_of(authorized(3), "next")


# Crowds


async def swap_over_the_first(store: Store, number: int) -> tuple[int, Record | None]:
    """Try to replace record `first`. Return the record of the winner, or None as the winner."""
    return await _swap_as(store, number, expected="first")


async def swap_where_there_is_none(store: Store, number: int) -> tuple[int, Record | None]:
    """Try to store the first record. Return the record of the winner, or None as the winner."""
    return await _swap_as(store, number, expected=None)


async def _swap_as(store: Store, number: int, *, expected: str | None) -> tuple[int, Record | None]:
    new = record_of(authorized(number), f"etag-{number}")
    try:
        await store.swap("default", new, expected_etag=expected)
    except ConflictError as conflict:
        return number, conflict.current
    return number, None


async def count_one_generation(store: Store, number: int) -> None:
    """Add one to the generation, in addition to the others."""
    current = await store.load("default")
    for trial in range(10_000):
        assert isinstance(current.grant, Authorized)
        tokens = replace(current.grant.tokens, generation=current.grant.tokens.generation + 1)
        try:
            await store.swap(
                "default",
                record_of(Authorized(tokens=tokens), f"{number}-{trial}"),
                expected_etag=current.etag,
            )
        except ConflictError as conflict:
            current = conflict.current
        else:
            return
    raise AssertionError("ten thousand conflicts in a row")


async def take_as_myself(store: Store, number: int) -> tuple[int, PendingLogin | None]:
    """Try to take the login."""
    return number, await store.take_login("key", taker=f"taker-{number}", now=NOW)


@contended
@pytest.mark.parametrize("contender", [swap_over_the_first, swap_where_there_is_none])
async def test_of_two_hundred_swaps_one_wins_and_the_others_return_its_record(
    in_use: StoreInUse, contender: Contender[tuple[int, Record | None]]
) -> None:
    store = in_use.open()
    if contender is swap_over_the_first:
        await store.swap("default", record_of(authorized(-1), "first"), expected_etag=None)
    results = await in_use.contend(contender, contenders=200)
    assert len(results) == 200
    winners = [number for number, current in results if current is None]
    assert len(winners) == 1
    written = record_of(authorized(winners[0]), f"etag-{winners[0]}")
    assert all(current == written for _, current in results if current is not None)
    assert await store.load("default") == written


@contended
async def test_no_concurrent_change_is_lost(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("default", record_of(authorized(0), "first"), expected_etag=None)
    await in_use.contend(count_one_generation, contenders=40)
    counted = (await store.load("default")).grant
    assert isinstance(counted, Authorized)
    assert counted.tokens.generation == TOKENS.generation + 40


@contended
async def test_of_fifty_takers_of_a_login_one_receives_it(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.put_login("key", PENDING)
    results = await in_use.contend(take_as_myself, contenders=50)
    assert len(results) == 50
    taken = [(number, pending) for number, pending in results if pending is not None]
    assert [pending for _, pending in taken] == [PENDING]
    winner, _ = taken[0]
    assert await store.take_login("key", taker=f"taker-{winner}", now=NOW) == PENDING


# Logins


async def test_a_login_goes_to_its_first_taker_only_and_again_after_a_lost_answer(
    in_use: StoreInUse,
) -> None:
    store = in_use.open()
    await store.put_login("key", PENDING)
    for instance in (store, in_use.open()):
        assert await instance.take_login("key", taker="one", now=NOW) == PENDING
        assert await instance.take_login("key", taker="two", now=NOW) is None
    assert await store.take_login("key", taker="one", now=PENDING.expires_at) is None


async def test_a_login_ends_at_the_instant_of_its_expiry(in_use: StoreInUse) -> None:
    store = in_use.open()
    for late, taken in ((TICK, None), (timedelta(0), None), (-TICK, PENDING)):
        await store.put_login(f"{late}", PENDING)
        now = PENDING.expires_at + late
        assert await store.take_login(f"{late}", taker="one", now=now) == taken


async def test_an_unknown_key_has_no_login(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.put_login("key", PENDING)
    for key in ("other", "", "KEY", "ke", "k%"):
        assert await store.take_login(key, taker="one", now=NOW) is None
    assert await store.take_login("key", taker="two", now=NOW) == PENDING


async def test_logins_are_independent_of_each_other_and_of_records(in_use: StoreInUse) -> None:
    store = in_use.open()
    other = replace(PENDING, connection="other", code_verifier=None)
    await store.put_login("one", PENDING)
    await store.put_login("two", other)
    await store.swap("one", record_of(authorized(1), "etag"), expected_etag=None)
    assert await store.take_login("one", taker="taker", now=NOW) == PENDING
    assert await store.take_login("two", taker="another", now=NOW) == other
    assert await store.load("one") == record_of(authorized(1), "etag")


@of_one_store
@given(pending=pending_logins, key=ids)
async def test_every_login_comes_back_as_it_was_put(
    in_use: StoreInUse, pending: PendingLogin, key: str
) -> None:
    store = in_use.open()
    new = f"{next(SERIAL)} {key}"
    await store.put_login(new, pending)
    taken = await store.take_login(new, taker="one", now=pending.expires_at - TICK)
    assert taken == pending


async def test_only_expired_logins_and_counts_are_removed(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("default", record_of(refreshing(NOW), "one"), expected_etag=None)
    await store.put_login("ends", PENDING)
    await store.put_login("stays", replace(PENDING, expires_at=PENDING.expires_at + TICK))
    assert await store.count("key", window_ends=NOW) == 1
    await store.forget_expired(PENDING.expires_at)
    assert await store.take_login("stays", taker="one", now=NOW) is not None
    # Its window may be that of another clock.
    assert await store.count("key", window_ends=NOW) == 2
    assert await store.load("default") == record_of(refreshing(NOW), "one")


# Counts


async def count_one(store: Store, _number: int) -> int:
    """Add one to the count."""
    return await store.count("key", window_ends=NOW)


async def test_a_count_increases_by_one_in_any_instance(in_use: StoreInUse) -> None:
    first, second = in_use.open(), in_use.open()
    counted = [await store.count("key", window_ends=NOW) for store in (first, second, first)]
    assert counted == [1, 2, 3]


async def test_windows_and_keys_are_counted_apart(in_use: StoreInUse) -> None:
    store = in_use.open()
    windows = [("key", NOW), ("KEY", NOW), ("ke", NOW), ("", NOW), ("key", NOW + TICK)]
    windows += [("key", NOW + timedelta(minutes=5)), ("key", NOW - timedelta(minutes=5))]
    for number in (1, 2):
        for key, window_ends in windows:
            assert await store.count(key, window_ends=window_ends) == number


@contended
async def test_two_hundred_concurrent_counts_have_different_numbers(
    in_use: StoreInUse,
) -> None:
    numbers = await in_use.contend(count_one, contenders=200)
    assert sorted(numbers) == list(range(1, 201))


async def test_counts_touch_neither_records_nor_logins(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.swap("key", record_of(refreshing(NOW), "one"), expected_etag=None)
    await store.put_login("key", PENDING)
    assert await store.count("key", window_ends=NOW) == 1
    assert await store.load("key") == record_of(refreshing(NOW), "one")
    assert await due(store, NOW) == ["key"]
    assert await store.take_login("key", taker="one", now=NOW) == PENDING


# Due grants


async def fill(store: Store, grants_by_name: Mapping[str, Grant]) -> None:
    for name, grant in grants_by_name.items():
        await store.swap(name, record_of(grant, f"etag-{name}"), expected_etag=None)


async def due(store: Store, before: datetime | None, *, limit: int = 10) -> list[str]:
    """Return the names of the first page."""
    return [name for _, name in await store.due(None, before, limit=limit)]


async def test_due_grants_are_listed_longest_overdue_first(in_use: StoreInUse) -> None:
    store = in_use.open()
    minute = timedelta(minutes=1)
    await fill(
        store,
        {
            "second": refreshing(NOW - 2 * minute),
            "fourth": refreshing(NOW - TICK),
            "later": refreshing(NOW + minute),
            "first": in_doubt(NOW - 3 * minute),
            "third": in_doubt(NOW - minute),
        },
    )
    assert await due(store, NOW) == ["first", "second", "third", "fourth"]
    assert await due(in_use.open(), NOW) == ["first", "second", "third", "fourth"]
    assert await due(store, NOW, limit=2) == ["first", "second"]
    assert (await due(store, None))[-1] == "later"


# In the order of code points, which is that of UTF-8's bytes, and of no other.
SAME_DATE = ["", "-", "A", "B", "Z-a", "Za", "a", "a ", "aB", "ab", "b", "é", "\uffee", "🐎"]


async def walk_due(
    store: Store, limit: int, before: datetime | None, after: Due | None = None
) -> list[Due]:
    """Read all pages. Each but the last is as long as the limit allows."""
    found: list[Due] = []
    while True:
        page = await store.due(after, before, limit=limit)
        found += page
        if len(page) < limit:
            return found
        after = page[-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_of_due_grants_have_each_once_by_date_and_name(
    in_use: StoreInUse, limit: int
) -> None:
    store, hour = in_use.open(), timedelta(hours=1)
    by_name = {name: refreshing(NOW) for name in reversed(SAME_DATE)}
    early = {f"early-{number:02}": refreshing(NOW - number * TICK) for number in range(1, 20)}
    late = {"later": refreshing(NOW + TICK), "0": refreshing(NOW + hour)}
    await fill(store, {**by_name, **late, **early})
    in_order = [*reversed(early), *SAME_DATE, "later", "0"]
    found = await walk_due(in_use.open(), limit, None)
    assert found == sorted(found)
    assert [name for _, name in found] == in_order
    assert await walk_due(store, limit, NOW) == found[:-2]
    # From anywhere: after one of the same date, one that is gone, and one of a date between.
    middle = found.index(Due(NOW.timestamp(), "Za"))
    for after in (found[middle], Due(NOW.timestamp(), "Za\x01")):
        assert await walk_due(in_use.open(), limit, NOW + TICK, after) == found[middle + 1 : -1]
    between = Due(found[-2].at + 1, "x")
    assert await walk_due(store, limit, None, between) == found[-1:]
    assert await walk_due(store, limit, NOW, between) == []


async def test_a_walk_misses_nothing_that_stays_due_while_others_are_written(
    in_use: StoreInUse,
) -> None:
    store, other = in_use.open(), in_use.open()
    days = {f"{number:02}": refreshing(NOW + timedelta(days=number)) for number in range(40)}
    await fill(store, days)
    first = await store.due(None, None, limit=5)
    assert [name for _, name in first] == ["00", "01", "02", "03", "04"]
    # Others are processed: one before, and one after what was read.
    for name in ("02", "20"):
        record = record_of(refreshing(NOW + timedelta(days=100)), "two")
        await other.swap(name, record, expected_etag=f"etag-{name}")
    rest = await walk_due(store, 5, None, first[-1])
    unchanged = [name for _, name in rest if name not in {"02", "20"}]
    assert unchanged == sorted({*days} - {name for _, name in first} - {"20"})
    # Another sweep has taken the next pages meanwhile.
    await store.due(None, None, limit=5)
    expected = await walk_due(in_use.open(), 5, None, rest[9])
    assert await walk_due(store, 5, None, rest[9]) == expected


async def test_a_grant_is_due_at_its_instant_and_not_a_microsecond_earlier(
    in_use: StoreInUse,
) -> None:
    store = in_use.open()
    await fill(store, {"default": refreshing(NOW)})
    for before, named in ((NOW - TICK, []), (NOW, ["default"]), (NOW + TICK, ["default"])):
        assert await due(store, before) == named


async def test_a_grant_that_is_never_due_is_never_listed(in_use: StoreInUse) -> None:
    store = in_use.open()
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_EXPIRED, client="client", since=NOW
    )
    await fill(
        store,
        {
            "unauthorized": Unauthorized(),
            "required": required,
            "without refresh token": Authorized(tokens=replace(TOKENS, refresh_token=None)),
            "for ever": Authorized(tokens=replace(TOKENS, expires_at=None)),
        },
    )
    assert await due(store, NOW + timedelta(days=10_000)) == []


async def test_a_swap_changes_when_a_grant_is_due(in_use: StoreInUse) -> None:
    store = in_use.open()
    idle = authorized(1)
    keep_alive_at = idle.tokens.keep_alive_at()
    assert keep_alive_at is not None
    steps: list[tuple[Grant, datetime | None]] = [
        (refreshing(NOW), NOW),
        (idle, keep_alive_at),
        (Unauthorized(), None),
        (in_doubt(NOW + timedelta(hours=1)), NOW + timedelta(hours=1)),
    ]
    etag = None
    for number, (grant, at) in enumerate(steps):
        await store.swap("default", record_of(grant, f"{number}"), expected_etag=etag)
        etag = f"{number}"
        if at is None:
            assert await due(store, NOW + timedelta(days=10_000)) == []
        else:
            assert await due(store, at - TICK) == []
            assert await due(store, at) == ["default"]


async def test_a_record_is_due_for_its_alerts_too(in_use: StoreInUse) -> None:
    store = in_use.open()
    hour = timedelta(hours=1)
    alert = Alert(id="id", kind=AlertKind.LOGIN_NEEDED, at=NOW)
    owed = AlertBook(owed=(Owed(alert=alert, since=NOW - hour),))
    steps: list[tuple[Grant, AlertBook, datetime | None]] = [
        (refreshing(NOW), AlertBook(check_at=NOW + hour), NOW),
        (refreshing(NOW), owed, NOW - hour),
        (Unauthorized(), AlertBook(check_at=NOW + hour), NOW + hour),
        (Unauthorized(), replace(owed, claim=Claim(id="id", until=NOW + hour)), NOW + hour),
        (Unauthorized(), AlertBook(failing_since=NOW), None),
    ]
    etag = None
    for number, (grant, alerts, at) in enumerate(steps):
        record = record_of(grant, f"{number}", alerts=alerts)
        await store.swap("default", record, expected_etag=etag)
        etag = f"{number}"
        assert await due(store, (at or NOW) - TICK) == []
        assert await due(store, at or FAR) == ([] if at is None else ["default"])


# Records in pages


async def walk(store: Store, limit: int, prefix: str = "") -> list[tuple[str, object]]:
    """Read all pages. Each is as long as the limit allows."""
    found: list[tuple[str, object]] = []
    after: str | None = None
    while True:
        page = await store.list_records(after, limit=limit, prefix=prefix)
        assert len(page.records) <= limit
        found += page.records
        if page.next is None:
            return found
        assert after is None or after < page.next
        after = page.next


async def test_a_store_without_records_has_one_empty_page(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.put_login("key", PENDING)
    await store.complete_listing()
    assert await store.list_records(None, limit=10) == RecordPage(records=(), next=None)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_pages_have_every_record_once_in_name_order(in_use: StoreInUse, limit: int) -> None:
    store = in_use.open()
    names = ["b", "a:b", "B", "a", "a-b", "0", "a@b.example", "a:a"]
    written = {name: record_of(authorized(1), f"etag-{name}", LEDGER) for name in names}
    for name, record in written.items():
        await store.swap(name, record, expected_etag=None)
    # None of them can be a connection, or is a record.
    for name in ("~deployment", "a:b:c", "a b", "", "é", "a" * 129, "-a", "a\0"):
        await store.swap(name, record_of(authorized(1), "etag"), expected_etag=None)
    await store.put_login("a:login", PENDING)
    await store.count("a:count", window_ends=NOW)
    assert await walk(in_use.open(), limit) == sorted(written.items())


async def test_records_of_given_connections_are_read_in_name_order(in_use: StoreInUse) -> None:
    store = in_use.open()
    written = {f"n{number:02}": record_of(authorized(1), f"etag-{number}") for number in range(99)}
    for name, record in written.items():
        await store.swap(name, record, expected_etag=None)
    await store.swap("~deployment", record_of(authorized(1), "etag"), expected_etag=None)
    # As many as fit into a page, with one that is missing.
    page = await in_use.open().load_records([*written, "without-a-record"])
    assert page == RecordPage(records=tuple(written.items()), next=None)
    page = await store.load_records(["missing", "n07", "~deployment"])
    assert page == RecordPage(records=(("n07", written["n07"]),), next=None)
    assert await store.load_records(["missing"]) == RecordPage(records=(), next=None)


async def test_a_page_begins_after_any_name_and_ends_with_its_prefix(in_use: StoreInUse) -> None:
    store = in_use.open()
    await fill(store, dict.fromkeys(("a", "a-b", "a:b", "a:c", "ab", "b"), authorized(1)))

    async def names(after: str | None, prefix: str = "") -> list[str]:
        page = await store.list_records(after, limit=10, prefix=prefix)
        return [name for name, _ in page.records]

    assert await names("a") == ["a-b", "a:b", "a:c", "ab", "b"]
    assert await names("a:bb") == ["a:c", "ab", "b"]
    assert await names("b") == []
    assert await names(None, "a:") == ["a:b", "a:c"]
    assert await names("a:b", "a:") == ["a:c"]
    assert await names("0", "a:") == ["a:b", "a:c"]
    assert await names("b", "a:") == []
    assert [name for name, _ in await walk(store, 1, "a:")] == ["a:b", "a:c"]


async def test_a_page_has_the_latest_records(in_use: StoreInUse) -> None:
    store, other = in_use.open(), in_use.open()
    await fill(store, dict.fromkeys(("a", "b"), authorized(1)))
    assert [name for name, _ in await walk(other, 1)] == ["a", "b"]
    latest = record_of(refreshing(NOW), "two")
    await store.swap("b", latest, expected_etag="etag-b")
    await fill(store, {"c": authorized(1)})
    assert dict(await walk(other, 10))["b"] == latest
    assert [name for name, _ in await walk(other, 2)] == ["a", "b", "c"]


async def test_pages_of_large_records_are_complete(in_use: StoreInUse) -> None:
    store = in_use.open()
    large = Authorized(tokens=replace(TOKENS, access_token="a" * 8 * LONG_TOKEN_LENGTH))
    names = {f"connection-{number:03}": large for number in range(110)}
    await fill(store, names)
    found = await walk(store, 100)
    assert [name for name, _ in found] == sorted(names)
    assert all(isinstance(each, Record) and each.grant == large for _, each in found)


# All connections


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.store_sqlite._PAGE_SIZE", 16)
    monkeypatch.setattr("adapters.redis_records._SCAN_PAGE", 16)


async def named(store: Store) -> list[str]:
    return sorted([name async for name in store.connections()])


async def test_a_store_without_records_lists_no_connection(in_use: StoreInUse) -> None:
    store = in_use.open()
    await store.put_login("key", PENDING)
    assert await store.take_login("key", taker="one", now=NOW) == PENDING
    assert await named(store) == []


async def test_every_connection_is_listed(
    in_use: StoreInUse,
) -> None:
    store = in_use.open()
    names = ["default", "DEFAULT", "default ", "a@b.example", "grant#", "login#a", "due", "", "\0"]
    names += ["*", "[a]", "?", "%", "oauth-callback:grant:a", "příliš žluťoučký 🐎/../'\""]
    states: list[Grant] = [
        authorized(1),
        refreshing(NOW),
        Unauthorized(),
        Moved(grant=authorized(1), since=NOW),
    ]
    await fill(store, dict(zip(names, cycle(states), strict=False)))
    await store.put_login("login", PENDING)
    assert await named(in_use.open()) == sorted(names)


@pytest.mark.usefixtures("small_pages")
async def test_all_are_listed_once_during_other_writes(in_use: StoreInUse) -> None:
    store, other = in_use.open(), in_use.open()
    large = Authorized(tokens=replace(TOKENS, access_token="a" * 2 * LONG_TOKEN_LENGTH))
    names = {f"connection-{number}": large for number in range(56)}
    await fill(store, names)
    found = []
    async for name in store.connections():
        found.append(name)
        number = len(found)
        if number <= len(names):
            await other.swap(
                f"connection-{56 - number}",
                record_of(large, f"again-{number}"),
                expected_etag=f"etag-connection-{56 - number}",
            )
            await fill(other, {f"{number}-new": refreshing(NOW)})
    assert len(set(found)) == len(found)
    assert set(found) >= set(names)
