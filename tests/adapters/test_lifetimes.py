"""Lifetimes in the units of all providers: never longer than they are, and never cut short."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.lifetimes import LONGEST_LIFETIME, read_lifetimes
from adapters.token_response import read_answer
from domain.providers.custom import PROVIDER as CUSTOM
from domain.token_endpoint import TokenResponse
from tests.strategies import json_values

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
HOUR, DAY = 3_600, 86_400


def access(*, can_refresh: bool = True, **members: object) -> float | None:
    life, _ = read_lifetimes(members, now=NOW, can_refresh=can_refresh)
    return None if life is None else life.total_seconds()


def refresh(**members: object) -> float | None:
    _, life = read_lifetimes(members, now=NOW, can_refresh=True)
    return None if life is None else life.total_seconds()


@pytest.mark.parametrize(
    "seconds",
    [
        *(1, 60, HOUR, 3_599.5, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 100 * DAY),
        # LinkedIn's, also some seconds old, and years of several lengths.
        *(60 * DAY, 60 * DAY - 1, 60 * DAY - 56, 90 * DAY, 180 * DAY, 365 * DAY, 366 * DAY),
        *(31_556_926, 31_557_600, 2_629_746, 3_650 * DAY),
        # The last second before milliseconds are possible.
        299_000,
        299_999,
        300_001,
    ],
)
def test_seconds_stay_seconds(seconds: float) -> None:
    assert access(expires_in=seconds) == seconds
    assert access(expires_in=str(seconds)) == seconds
    assert refresh(refresh_token_expires_in=seconds) == seconds


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [
        (300_000, 300),
        (899_000, 899),
        (900_000, 900),
        (3_599_000, 3_599),
        (3_600_000, HOUR),
        ("3600000", HOUR),
        (7_200_000, 2 * HOUR),
        (10_800_000, 3 * HOUR),
        (43_200_000, 12 * HOUR),
        (86_400_000, DAY),
        (315_619_201, 315_619.201),
        (604_800_000, 7 * DAY),
        (2_592_000_000, 30 * DAY),
    ],
)
def test_milliseconds_are_recognised(milliseconds: object, seconds: float) -> None:
    assert access(expires_in=milliseconds) == seconds


def test_without_a_refresh_token_no_lifetime_is_cut_short() -> None:
    assert access(expires_in=HOUR * 1_000, can_refresh=False) == HOUR * 1_000
    assert access(expires_in=2**31 - 1, can_refresh=False) == LONGEST_LIFETIME.total_seconds()


def test_a_refresh_tokens_lifetime_is_in_the_access_tokens_unit() -> None:
    assert refresh(expires_in=3_600_000, refresh_token_expires_in=7_776_000_000) == 90 * DAY
    assert refresh(expires_in=3_600_000, refresh_expires_in=86_400_000) == DAY
    assert refresh(expires_in=3_600, refresh_token_expires_in=86_400_000) == 1_000 * DAY
    assert refresh(refresh_token_expires_in=7_776_000_000) == 90 * DAY


def test_zohos_seconds_win_over_its_milliseconds() -> None:
    assert access(expires_in=3_600_000, expires_in_sec=3_600) == HOUR
    assert access(expires_in=3_598_123, expires_in_sec=3_598) == 3_598


ACCESS_NAMES = ["expires_in", "expires_at", "expires_on", "expires", ".expires", "expiry"]
REFRESH_NAMES = [
    *("refresh_token_expires_in", "refresh_token_expires_at", "refresh_token_expires"),
    *("refresh_expires_in", "refresh_expires_at", "refresh_token_expiration"),
]
ends = pytest.mark.parametrize(
    "written",
    [
        lambda at: int(at.timestamp()),
        lambda at: at.timestamp(),
        lambda at: str(int(at.timestamp())),
        lambda at: int(at.timestamp()) * 1_000,
        lambda at: int(at.timestamp()) * 10**6,
        lambda at: int(at.timestamp()) * 10**9,
        lambda at: at.isoformat(),
        lambda at: at.isoformat().replace("+00:00", "Z"),
        lambda at: at.replace(tzinfo=None).isoformat(sep=" "),
        lambda at: (at + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00"),
        lambda at: format_datetime(at, usegmt=True),
    ],
    ids=["s", "s as a float", "s as a text", "ms", "µs", "ns", "ISO", "Z", "naive", "zone", "date"],
)


@ends
@pytest.mark.parametrize("seconds", [1, HOUR, 60 * DAY, 3_650 * DAY])
def test_an_instant_is_recognised_by_its_place(written: object, seconds: int) -> None:
    assert callable(written)
    value = written(NOW + timedelta(seconds=seconds))
    assert [access(**{name: value}) for name in ACCESS_NAMES] == [seconds] * len(ACCESS_NAMES)
    assert [refresh(**{name: value}) for name in REFRESH_NAMES] == [seconds] * len(REFRESH_NAMES)


@ends
@pytest.mark.parametrize("seconds", [0, -1, -HOUR, -60 * DAY])
def test_a_past_instant_is_ignored(written: object, seconds: int) -> None:
    assert callable(written)
    value = written(NOW + timedelta(seconds=seconds))
    assert access(expires_in=value) is None
    assert access(expires_at=value, expires_in=HOUR) == HOUR


# Members of the responses of providers, and their lifetimes in seconds.
QUIRKS: list[tuple[str, dict[str, Any], float | None, float | None]] = [
    ("Digi-Key", {"expires_in": 1799, "refresh_token_expires_in": 7_775_999}, 1799, 7_775_999),
    ("Entra", {"expires_in": "3599", "ext_expires_in": "3599"}, 3599, None),
    ("GitLab", {"expires_in": 7200, "created_at": SECONDS}, 7200, None),
    ("Square", {"expires_at": "2026-03-31T12:00:00Z"}, 30 * DAY, None),
    (
        "Square with PKCE",
        {"expires_at": "2026-03-31T12:00:00Z", "refresh_token_expires_at": "2026-05-30T12:00:00Z"},
        30 * DAY,
        90 * DAY,
    ),
    (
        "Intuit",
        {
            "expires_in": 3600,
            "x_refresh_token_expires_in": 8_726_400,
            "x_refresh_token_hard_expires_in": 157_680_000,
        },
        HOUR,
        101 * DAY,
    ),
    ("Airtable", {"expires_in": 3600, "refresh_expires_in": 5_184_000}, HOUR, 60 * DAY),
    ("Keycloak, offline", {"expires_in": 300, "refresh_expires_in": 0}, 300, None),
    ("Salesforce", {"issued_at": str(SECONDS * 1000)}, None, None),
    ("Strava", {"expires_at": SECONDS + 21_600, "expires_in": 21_600}, 21_600, None),
    ("Netatmo", {"expires_in": 10_800, "expire_in": 10_800}, 10_800, None),
    ("Exact Online", {"expires_in": "600"}, 600, None),
    ("TikTok", {"expires_in": DAY, "refresh_expires_in": 31_536_000}, DAY, 365 * DAY),
    (
        "Pinterest",
        {
            "expires_in": 2_592_000,
            "refresh_token_expires_in": 5_184_000,
            "refresh_token_expires_at": SECONDS + 5_184_000,
        },
        30 * DAY,
        60 * DAY,
    ),
    ("eBay", {"expires_in": 7200, "refresh_token_expires_in": 47_304_000}, 7200, 547.5 * DAY),
    ("Garmin", {"expires_in": DAY, "refresh_token_expires_in": 7_775_998}, DAY, 7_775_998),
    ("Smartsheet", {"expires_in": 604_799}, 604_799, None),
    ("Figma", {"expires_in": 7_776_000}, 90 * DAY, None),
    ("PayPal", {"expires_in": 32_400, "nonce": "2026-03-01T12:00:00Zx"}, 32_400, None),
    (
        "Clover",
        {"access_token_expiration": SECONDS + 1800, "refresh_token_expiration": SECONDS + DAY},
        1800,
        DAY,
    ),
]


@pytest.mark.parametrize(
    ("members", "access_life", "refresh_life"),
    [pytest.param(*row, id=name) for name, *row in QUIRKS],
)
def test_each_providers_lifetimes_are_read(
    members: dict[str, Any], access_life: float | None, refresh_life: float | None
) -> None:
    assert (access(**members), refresh(**members)) == (access_life, refresh_life)


def test_of_several_members_the_shortest_lifetime_counts() -> None:
    assert access(expires_in=HOUR, expires_at=SECONDS + 60) == 60
    assert access(expires_in=41 * DAY + 1, expires_on=str(SECONDS + HOUR)) == HOUR
    assert access(expires_in=HOUR, ext_expires_in=60) == HOUR


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_an_instant_counts_from_the_answers_own_clock(zone: str) -> None:
    body = b'{"access_token": "a", "expires_at": %d}' % (SECONDS + HOUR)
    found = read_answer(
        httpx.Response(200, headers={"date": f"Sun, 01 Mar 2026 12:00:00 {zone}"}),
        body,
        CUSTOM,
    )
    assert isinstance(found, TokenResponse)
    assert found.expires_in == timedelta(hours=1)


def test_without_the_answers_clock_an_instant_counts_from_here() -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    body = b'{"access_token": "a", "expires_at": "%s"}' % at.isoformat().encode()
    found = read_answer(httpx.Response(200), body, CUSTOM)
    assert isinstance(found, TokenResponse)
    assert found.expires_in is not None
    assert timedelta(minutes=59) < found.expires_in <= timedelta(hours=1)


@given(
    members=st.dictionaries(
        st.sampled_from([*ACCESS_NAMES, *REFRESH_NAMES, "expires_in_sec"]),
        json_values | st.integers() | st.floats() | st.datetimes().map(str),
    ),
    now=st.datetimes(timezones=st.just(UTC)),
    can_refresh=st.booleans(),
)
def test_any_members_are_a_lifetime_or_none(
    members: dict[str, object],
    now: datetime,
    can_refresh: bool,  # noqa: FBT001
) -> None:
    for life in read_lifetimes(members, now=now, can_refresh=can_refresh):
        assert life is None or timedelta(0) < life <= LONGEST_LIFETIME
