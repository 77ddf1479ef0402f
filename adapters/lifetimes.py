"""The lifetimes of tokens in a response, in any unit that providers use.

A. A lifetime is in seconds (RFC 6749 §5.1). A date is an instant, and so is a number near now, in
   seconds or a fraction of them. Instants are compared with the response's own clock.
B. A number above ten years is in milliseconds. So are whole seconds in
   milliseconds, from five minutes on, unless the number is whole days in seconds. So are whole
   hours in milliseconds.
C. B shortens lifetimes, so it applies only if a refresh is possible. A refresh token's
   lifetime is in milliseconds if it is above ten years, or if the access token's lifetime is.
D. The shortest of several members counts: an expired token costs more than an early refresh.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite

# The limit for lifetimes that mean "for ever" (RFC 6749 sets none).
LONGEST_LIFETIME = timedelta(days=3650)
_TEN_YEARS = timedelta(days=3653).total_seconds()
_DAY = timedelta(days=1).total_seconds()
_SECOND_IN_MS, _FIVE_MINUTES_IN_MS, _HOUR_IN_MS = 1_000, 300_000, 3_600_000
# Seconds to nanoseconds.
_FRACTIONS = (1, 10**3, 10**6, 10**9)
# The RFC's name, and those of Zoho, Microsoft, Facebook, ASP.NET, Go, Shopee, Clover and others.
_NAMES = (
    *("expires_in", "expires_in_sec", "expires_at", "expires_on", "expires", "expiry"),
    "expire_in",
)
_ACCESS_NAMES = (
    *(*_NAMES, "expires_in_seconds", "expiration", ".expires"),
    *(f"access_token_{name}" for name in ("expires_at", "expires_in", "expire_in", "expiration")),
)
# Also the names of Intuit and Keycloak.
_REFRESH_NAMES = (
    *(f"refresh_token_{name}" for name in (*_NAMES, "expiration")),
    *("x_refresh_token_expires_in", "refresh_expires_in", "refresh_expires_at"),
)


def read_lifetimes(
    members: Mapping[str, object], *, now: datetime, can_refresh: bool
) -> tuple[timedelta | None, timedelta | None]:
    """Return the remaining lifetimes of the access token and of the refresh token.

    `now`: the response's date. None stands for a lifetime without a usable member.
    """
    access, refresh = (
        [members[name] for name in names if name in members]
        for names in (_ACCESS_NAMES, _REFRESH_NAMES)
    )
    numbers = _read_numbers(access, now)
    in_ms = can_refresh and any(map(_is_in_ms, numbers))
    return (
        _shortest(
            _read_instants(access, now),
            [_to_lifetime(n, in_ms=in_ms and _is_in_ms(n)) for n in numbers],
        ),
        _shortest(
            _read_instants(refresh, now),
            [_to_lifetime(n, in_ms=in_ms or n > _TEN_YEARS) for n in _read_numbers(refresh, now)],
        ),
    )


def seconds_of(value: object) -> float | None:
    """Read a number above zero, also from a text. Return None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) and number > 0 else None


def _read_numbers(values: list[object], now: datetime) -> list[float]:
    found = [number for value in values if (number := seconds_of(value)) is not None]
    return [number for number in found if _remaining(number, now) is None]


def _read_instants(values: list[object], now: datetime) -> list[timedelta]:
    found = [
        _read_date(value, now) if (number := seconds_of(value)) is None else _remaining(number, now)
        for value in values
    ]
    return [left for left in found if left is not None]


def _remaining(number: float, now: datetime) -> timedelta | None:
    """Read a number as an instant within ten years of now. Return None for any other number."""
    for fraction in _FRACTIONS:
        seconds = number / fraction - now.timestamp()
        if abs(seconds) <= _TEN_YEARS:
            return timedelta(seconds=seconds)
    return None


def _read_date(value: object, now: datetime) -> timedelta | None:
    """Read a date of ISO 8601 or RFC 5322. A date without a zone is UTC."""
    if not isinstance(value, str):
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            end = read(value.strip())
            return (end if end.tzinfo else end.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _is_in_ms(number: float) -> bool:
    if number > _TEN_YEARS:
        return True
    is_days = number % _DAY == 0
    is_whole = number >= _FIVE_MINUTES_IN_MS and number % _SECOND_IN_MS == 0
    return is_whole and (not is_days or number % _HOUR_IN_MS == 0)


def _to_lifetime(number: float, *, in_ms: bool) -> timedelta:
    seconds = number / 1000 if in_ms else number
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds()))


def _shortest(*lifetimes: list[timedelta]) -> timedelta | None:
    # A lifetime below half a microsecond is zero.
    found = [lifetime for some in lifetimes for lifetime in some if lifetime > timedelta(0)]
    return min(*found, LONGEST_LIFETIME) if found else None
