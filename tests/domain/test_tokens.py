"""Tokens: every boundary of the expiry arithmetic, from both sides."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, AssumedLifetime, LifetimeStart
from domain.tokens import Freshness, Tokens
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    MINUTE,
    REFRESH_LIFE,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
)

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
ASKS_TO_WRITE = replace(DIGIKEY, scope="write")


@pytest.mark.parametrize(
    ("age", "freshness"),
    [
        (timedelta(0), Freshness.FRESH),
        (ACCESS_LIFE - TICK, Freshness.FRESH),
        (ACCESS_LIFE, Freshness.ACCESS_EXPIRED),
        (REFRESH_LIFE - TICK, Freshness.ACCESS_EXPIRED),
        (REFRESH_LIFE, Freshness.REFRESH_EXPIRED),
    ],
)
def test_freshness_changes_at_the_instant_of_an_expiry(
    age: timedelta, freshness: Freshness
) -> None:
    assert TOKENS.freshness(T0 + age) is freshness


def test_tokens_require_a_login_if_the_refresh_token_expires_before_the_access_token() -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=T0 + MINUTE)
    assert tokens.freshness(T0 + MINUTE) is Freshness.REFRESH_EXPIRED


def test_an_expiring_access_token_without_a_refresh_token_needs_a_login_from_the_start() -> None:
    tokens = replace(TOKENS, refresh_token=None, refresh_token_expires_at=None)
    assert tokens.freshness(T0) is Freshness.REFRESH_EXPIRED


def test_an_access_token_that_never_expires_stays_fresh_without_a_refresh_token() -> None:
    tokens = replace(TOKENS, expires_at=None, refresh_token=None)
    assert tokens.freshness(T0 + 1000 * DAY) is Freshness.FRESH
    assert tokens.outlives(DAY, T0 + 1000 * DAY)
    assert not tokens.is_access_token_near_end(DAY, T0 + 1000 * DAY)


def test_a_refresh_token_of_unknown_lifetime_is_valid_until_it_is_refused() -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=None)
    assert tokens.freshness(T0 + 1000 * DAY) is Freshness.ACCESS_EXPIRED


def test_an_access_token_is_valid_until_exactly_its_expiry() -> None:
    end = T0 + ACCESS_LIFE
    assert TOKENS.is_access_token_valid(end - TICK)
    assert not TOKENS.is_access_token_valid(end)
    assert replace(TOKENS, expires_at=None).is_access_token_valid(end + 1000 * DAY)


@pytest.mark.parametrize("min_ttl", [timedelta(0), SECOND, 59 * SECOND, MINUTE, 61 * SECOND])
def test_a_token_outlives_min_ttl_until_exactly_that_much_is_left(min_ttl: timedelta) -> None:
    last = T0 + ACCESS_LIFE - min_ttl
    assert TOKENS.outlives(min_ttl, last - TICK)
    assert not TOKENS.outlives(min_ttl, last)


def test_checklist_48_no_demand_exceeds_half_of_a_tokens_life() -> None:
    half = T0 + ACCESS_LIFE / 2
    assert TOKENS.outlives(1000 * DAY, half - TICK)
    assert not TOKENS.outlives(1000 * DAY, half)


def test_a_new_token_outlives_every_min_ttl() -> None:
    short = replace(TOKENS, expires_at=T0 + TICK)
    assert short.outlives(1000 * DAY, T0)


@pytest.mark.parametrize(
    ("life", "margin"),
    [(30 * MINUTE, 5 * MINUTE), (15 * MINUTE, 5 * MINUTE), (MINUTE, 20 * SECOND)],
)
def test_a_token_nears_its_end_in_its_last_five_minutes_or_its_last_third(
    life: timedelta, margin: timedelta
) -> None:
    tokens = replace(TOKENS, expires_at=T0 + life)
    assert not tokens.is_access_token_near_end(5 * MINUTE, T0 + life - margin - TICK)
    assert tokens.is_access_token_near_end(5 * MINUTE, T0 + life - margin)


def refreshed(before: Tokens, **changes: object) -> Tokens:
    return before.refreshed(
        replace(RESPONSE, **changes),  # type: ignore[arg-type]
        issued_at=T0 + DAY,
        provider=DIGIKEY,
    )


def test_checklist_35_a_refresh_replaces_both_tokens_and_starts_a_new_generation() -> None:
    tokens = refreshed(TOKENS, scope="read")
    assert tokens == Tokens(
        generation=8,
        authorized_at=T0,
        issued_at=T0 + DAY,
        access_token="access-8",
        token_type="Bearer",
        scope="read",
        expires_at=T0 + DAY + ACCESS_LIFE,
        refresh_token="refresh-8",
        refresh_token_expires_at=T0 + DAY + REFRESH_LIFE,
    )


def test_a_refresh_keeps_the_place_in_the_record_and_the_start_of_the_lifetime() -> None:
    # Comparing tokens leaves out their place in the record.
    before = replace(TOKENS, place=3, revoked=2)
    assert (refreshed(before).place, refreshed(before).revoked) == (3, 2)
    idle = replace(DIGIKEY, refresh_token_counted=LifetimeStart.USE)
    after = TOKENS.refreshed(RESPONSE, issued_at=T0 + DAY, provider=idle)
    assert after.refresh_token_counted is LifetimeStart.USE


def test_the_first_tokens_of_a_record_have_no_place_yet() -> None:
    tokens = Tokens.first(RESPONSE, generation=0, issued_at=T0, provider=DIGIKEY)
    assert (tokens.place, tokens.revoked) == (0, 0)


def test_after_a_refresh_a_lifetime_is_assumed_if_none_is_declared() -> None:
    undeclared = replace(DIGIKEY, access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME)
    response = replace(RESPONSE, expires_in=None, refresh_token=None)
    after = TOKENS.refreshed(response, issued_at=T0 + DAY, provider=undeclared)
    assert after.expires_at == T0 + DAY + UNDECLARED_ACCESS_TOKEN_LIFETIME.lifetime


def test_tokens_of_the_same_login_and_generation_are_not_newer() -> None:
    uncounted = replace(TOKENS, authorized_at=T0 - SECOND)
    assert TOKENS.are_newer_than(uncounted)
    assert not uncounted.are_newer_than(TOKENS)
    assert not TOKENS.are_newer_than(TOKENS)


def test_checklist_34_a_response_without_a_refresh_token_keeps_the_old_one_and_its_expiry() -> None:
    tokens = refreshed(TOKENS, refresh_token=None, refresh_token_expires_in=None)
    assert (tokens.generation, tokens.refresh_token) == (7, "refresh-7")
    assert tokens.refresh_token_expires_at == T0 + REFRESH_LIFE
    assert tokens.access_token == "access-8"


def test_a_response_that_repeats_the_refresh_token_is_no_new_generation() -> None:
    tokens = refreshed(TOKENS, refresh_token="refresh-7", refresh_token_expires_in=None)
    assert (tokens.generation, tokens.refresh_token_expires_at) == (7, T0 + REFRESH_LIFE)


def test_a_lifetime_returned_for_the_same_refresh_token_counts_from_the_response() -> None:
    tokens = refreshed(TOKENS, refresh_token=None, refresh_token_expires_in=100 * DAY)
    assert (tokens.generation, tokens.refresh_token_expires_at) == (7, T0 + 101 * DAY)


def test_checklist_31_a_missing_lifetime_is_the_providers_declared_one() -> None:
    tokens = refreshed(TOKENS, expires_in=None, refresh_token_expires_in=None)
    assert tokens.expires_at == T0 + DAY + ACCESS_LIFE
    assert tokens.refresh_token_expires_at == T0 + DAY + REFRESH_LIFE


def test_without_a_scope_in_the_response_the_granted_one_stays() -> None:
    assert refreshed(replace(TOKENS, scope="read"), scope=None).scope == "read"


def test_the_tokens_of_a_login_are_those_of_the_response() -> None:
    told = replace(
        RESPONSE,
        token_type="Odd",
        expires_in=MINUTE,
        refresh_token_expires_in=DAY,
        scope="read",
        subject="a fingerprint",
        account="a@b.example",
        extra=(("realmId", "123"),),
    )
    tokens = Tokens.first(told, generation=3, issued_at=T0 + SECOND, provider=ASKS_TO_WRITE)
    assert tokens == Tokens(
        generation=3,
        authorized_at=T0 + SECOND,
        issued_at=T0 + SECOND,
        access_token="access-8",
        token_type="Odd",
        scope="read",
        expires_at=T0 + SECOND + MINUTE,
        refresh_token="refresh-8",
        refresh_token_expires_at=T0 + SECOND + DAY,
        subject="a fingerprint",
        account="a@b.example",
        extra=(("realmId", "123"),),
    )


def test_members_missing_from_a_login_are_the_requested_and_declared_ones() -> None:
    untold = replace(RESPONSE, expires_in=None, refresh_token_expires_in=None, scope=None)
    tokens = Tokens.first(untold, generation=0, issued_at=T0, provider=ASKS_TO_WRITE)
    assert tokens.scope == "write"
    assert tokens.expires_at == T0 + ACCESS_LIFE
    assert tokens.refresh_token_expires_at == T0 + REFRESH_LIFE


def test_the_tokens_of_a_login_without_a_refresh_token_have_no_expiry_for_it() -> None:
    response = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    tokens = Tokens.first(response, generation=0, issued_at=T0, provider=DIGIKEY)
    assert (tokens.refresh_token, tokens.refresh_token_expires_at) == (None, None)


@pytest.mark.parametrize(
    ("life", "margin"),
    [(90 * DAY, 30 * DAY), (6 * DAY, 50), (4 * DAY, 50), (3 * DAY, 48), (DAY, 16)],
)
def test_an_unused_grant_is_due_in_its_last_third_and_over_two_days_ahead_where_that_is_more(
    life: timedelta, margin: timedelta | int
) -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=T0 + life)
    before_end = margin if isinstance(margin, timedelta) else timedelta(hours=margin)
    assert tokens.keep_alive_at() == T0 + life - before_end


def test_a_refresh_token_of_unknown_lifetime_is_used_every_three_days() -> None:
    assert replace(TOKENS, refresh_token_expires_at=None).keep_alive_at() == T0 + 3 * DAY


@given(
    life=st.one_of(st.none(), st.timedeltas(min_value=75 * HOUR, max_value=400 * DAY)),
    first=st.timedeltas(min_value=timedelta(0), max_value=DAY),
    lateness=st.lists(
        st.timedeltas(min_value=timedelta(0), max_value=HOUR), min_size=6, max_size=6
    ),
)
def test_a_daily_sweep_at_any_minute_of_an_hour_comes_twice_before_an_idle_limit(
    life: timedelta | None, first: timedelta, lateness: list[timedelta]
) -> None:
    """Of a known one of 75 hours or more; and of one of a week, though nobody knows it."""
    end = None if life is None else T0 + life
    due = replace(
        TOKENS, refresh_token_expires_at=end, refresh_token_counted=LifetimeStart.USE
    ).keep_alive_at()
    assert due is not None
    day_before = (due - T0 - first) // DAY - 1
    sweeps = [T0 + first + day * DAY + late for day, late in enumerate(lateness, day_before)]
    looks = [at for at in sweeps if due <= at < (end or T0 + 7 * DAY)]
    assert len(looks) >= 2
    if end is None:
        assert looks[0] - T0 <= 4 * DAY + HOUR


@pytest.mark.parametrize("life", [DAY, 3 * DAY, 7 * DAY, 90 * DAY])
def test_a_lifetime_from_the_login_is_due_when_it_is_over(life: timedelta) -> None:
    """The sweep cannot extend it. It reports that a login is required."""
    tokens = replace(
        TOKENS, refresh_token_counted=LifetimeStart.LOGIN, refresh_token_expires_at=T0 + life
    )
    assert tokens.keep_alive_at() == T0 + life
    assert tokens.login_end == T0 + life
    assert not tokens.is_refresh_token_near_end(T0 + life - TICK)


def test_an_unknown_lifetime_from_the_login_may_have_an_idle_limit() -> None:
    tokens = replace(
        TOKENS, refresh_token_counted=LifetimeStart.LOGIN, refresh_token_expires_at=None
    )
    assert tokens.keep_alive_at() == T0 + 3 * DAY
    assert not tokens.is_refresh_token_near_end(T0 + 4 * DAY)


@pytest.mark.parametrize(
    ("counted", "replaces", "end"),
    [
        (LifetimeStart.ISSUE, False, T0 + 7 * DAY),
        (LifetimeStart.ISSUE, True, T0 + 9 * DAY),
        (LifetimeStart.USE, False, T0 + 9 * DAY),
        (LifetimeStart.USE, True, T0 + 9 * DAY),
        (LifetimeStart.LOGIN, False, T0 + 7 * DAY),
        (LifetimeStart.LOGIN, True, T0 + 7 * DAY),
    ],
)
def test_a_declared_lifetime_counts_from_its_declared_start(
    counted: LifetimeStart, end: datetime, *, replaces: bool
) -> None:
    provider = replace(DIGIKEY, refresh_token_lifetime=7 * DAY, refresh_token_counted=counted)
    response = replace(RESPONSE, refresh_token_expires_in=None)
    tokens = Tokens.first(response, generation=0, issued_at=T0, provider=provider)
    assert tokens.refresh_token_expires_at == T0 + 7 * DAY
    assert tokens.refresh_token_counted is counted
    new = "refresh-9" if replaces else None
    later = tokens.refreshed(
        replace(response, refresh_token=new), issued_at=T0 + 2 * DAY, provider=provider
    )
    assert later.refresh_token_expires_at == end
    told = tokens.refreshed(
        replace(response, refresh_token_expires_in=DAY), issued_at=T0, provider=provider
    )
    assert told.refresh_token_expires_at == T0 + DAY
    more = tokens.refreshed(
        replace(response, refresh_token_expires_in=8 * DAY), issued_at=T0, provider=provider
    )
    # A response may repeat the lifetime of a new login.
    is_fixed = counted is LifetimeStart.LOGIN
    assert more.refresh_token_expires_at == T0 + (7 if is_fixed else 8) * DAY


@pytest.mark.parametrize(
    ("declared", "refresh_token", "life"),
    [
        (UNDECLARED_ACCESS_TOKEN_LIFETIME, "refresh-8", timedelta(minutes=5)),
        (UNDECLARED_ACCESS_TOKEN_LIFETIME, None, None),
        (DAY, None, DAY),
        (DAY, "refresh-8", DAY),
        (None, "refresh-8", None),
    ],
)
def test_an_access_token_of_undeclared_lifetime_without_a_refresh_token_never_expires(
    declared: timedelta | AssumedLifetime | None, refresh_token: str | None, life: timedelta | None
) -> None:
    provider = replace(DIGIKEY, access_token_lifetime=declared)
    response = replace(RESPONSE, expires_in=None, refresh_token=refresh_token)
    tokens = Tokens.first(response, generation=0, issued_at=T0, provider=provider)
    assert tokens.expires_at == (None if life is None else T0 + life)


def test_what_cannot_be_refreshed_or_needs_no_refresh_is_never_due() -> None:
    assert replace(TOKENS, refresh_token=None).keep_alive_at() is None
    assert replace(TOKENS, expires_at=None).keep_alive_at() is None


def test_no_representation_shows_a_token() -> None:
    assert "access-7" not in repr(TOKENS)
    assert "refresh-7" not in repr(TOKENS)


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [(None, None, None), ("a", None, "a"), (None, "b", "b"), ("a", "b", "a")],
)
def test_a_refresh_can_add_the_account_and_never_changes_it(
    before: str | None, told: str | None, after: str | None
) -> None:
    assert refreshed(replace(TOKENS, subject=before), subject=told).subject == after


@pytest.mark.parametrize(
    ("subject", "account", "after"),
    [
        pytest.param(None, None, "old@a.example", id="without"),
        pytest.param("a", None, "old@a.example", id="without-a-label"),
        pytest.param("a", "new@a.example", "new@a.example", id="renamed"),
        pytest.param(None, "new@a.example", "new@a.example", id="without-a-fingerprint"),
        pytest.param("b", "new@b.example", "old@a.example", id="another-account"),
    ],
)
def test_a_refresh_keeps_the_label_of_the_account_or_renews_it(
    subject: str | None, account: str | None, after: str
) -> None:
    before = replace(TOKENS, subject="a", account="old@a.example")
    assert refreshed(before, subject=subject, account=account).account == after


def test_a_refresh_keeps_the_members_that_its_response_lacks() -> None:
    before = replace(TOKENS, extra=(("realmId", "123"), ("instance_url", "https://a.example")))
    assert refreshed(before).extra == before.extra
    moved = refreshed(before, extra=(("instance_url", "https://b.example"), ("id", 5)))
    assert dict(moved.extra) == {"realmId": "123", "instance_url": "https://b.example", "id": 5}


def test_tokens_are_of_another_account_only_if_both_accounts_are_known() -> None:
    mine = replace(TOKENS, subject="a")
    assert mine.belong_to_other_account("b")
    assert not mine.belong_to_other_account("a")
    assert not mine.belong_to_other_account(None)
    assert not TOKENS.belong_to_other_account("a")


@pytest.mark.parametrize(
    ("before", "is_usable"),
    [
        pytest.param(365 * DAY, False, id="a login a year after the issue"),
        pytest.param(365 * DAY + TICK, True, id="the clock of the issue was behind"),
    ],
)
def test_an_expiry_by_a_clock_that_was_a_year_behind_is_not_known(
    before: timedelta, *, is_usable: bool
) -> None:
    login = T0 + 800 * DAY
    issued_at = login - before
    tokens = replace(
        TOKENS,
        authorized_at=login,
        issued_at=issued_at,
        refresh_token_expires_at=issued_at + DAY,
    )
    assert tokens.can_refresh(login) is is_usable
