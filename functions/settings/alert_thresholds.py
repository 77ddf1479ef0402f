"""When time alone owes an alert: `ALERT_EXPIRES_SOON` and the like."""

import re
from datetime import timedelta

from domain.alerts import AlertThresholds
from functions.settings.environment import EnvReader

EXPIRES_SOON = "ALERT_EXPIRES_SOON"
REFRESH_FAILING = "ALERT_REFRESH_FAILING"
SWEEP_OVERDUE = "ALERT_SWEEP_OVERDUE"
THRESHOLDS = (EXPIRES_SOON, REFRESH_FAILING, SWEEP_OVERDUE)

_DURATION = re.compile(r"(?P<amount>[1-9][0-9]{0,5})(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=366)
_MOST = 10
# No scheduler calls the sweep more often.
_SHORTEST_SWEEP = timedelta(hours=1)


def read_thresholds(env: EnvReader) -> AlertThresholds:
    """Read the thresholds, and add their faults."""
    defaults = AlertThresholds()
    return AlertThresholds(
        expires_soon=_durations(env, EXPIRES_SOON) or defaults.expires_soon,
        refresh_failing=_duration(env, REFRESH_FAILING) or defaults.refresh_failing,
        sweep_overdue=_duration(env, SWEEP_OVERDUE, least=_SHORTEST_SWEEP)
        or defaults.sweep_overdue,
        give_up_after=defaults.give_up_after,
    )


def _durations(env: EnvReader, name: str) -> tuple[timedelta, ...]:
    """Return durations, the longest first; none if the variable is not set, or has a fault."""
    text = env.optional(name)
    if text is None:
        return ()
    found = [_parse(part) for part in text.replace(",", " ").split()]
    durations = {each for each in found if each is not None}
    if None in found or not 0 < len(found) <= _MOST:
        env.faults.append(
            f"{name} must be 1 to {_MOST} durations of at most 366d, such as 14d,7d,1d"
        )
    return tuple(sorted(durations, reverse=True))


def _duration(env: EnvReader, name: str, *, least: timedelta | None = None) -> timedelta | None:
    text = env.optional(name)
    if text is None:
        return None
    duration = _parse(text)
    if duration is None or (least is not None and duration < least):
        start = "" if least is None else "at least 1h and "
        env.faults.append(f"{name} must be a duration such as 90m or 26h, {start}at most 366d")
    return duration


def _parse(text: str) -> timedelta | None:
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    duration = timedelta(**{_UNITS[found["unit"]]: int(found["amount"])})
    return duration if duration <= _LONGEST else None
