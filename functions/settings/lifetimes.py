"""Lifetimes and rotation in the environment: what token responses do not state."""

import re
from dataclasses import replace
from datetime import timedelta

from domain.provider import UNTIL_USED_BOUND, LifetimeStart, Provider, Rotation, RotationKind
from functions.settings.environment import EnvReader

_ROTATION = re.compile(
    r"(?P<kind>none|optional|always)"
    r"(;grace=(?P<grace>until-used|(until-used:)?(?P<amount>[0-9]{1,6})(?P<unit>[smhd])))?"
    r"(?P<ends>;ends-access-token)?"
)
_LIFETIME = re.compile(
    r"(?P<amount>[1-9][0-9]{0,5})(?P<unit>[smhd])(;(?P<counted>sliding|from-login))?"
)
_WAIT = re.compile(r"(?P<amount>[0-9]{1,6})(?P<unit>[smhd])")
_NEVER = "never"
_UNTIL_USED = "until-used"
_MAX_GRACE = timedelta(days=366)
_MAX_LIFETIME = timedelta(days=3650)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_rotation(env: EnvReader, preset: Provider) -> Provider:
    """Apply `ROTATION`: what a refresh does to the old refresh token and access token."""
    text = env.optional("ROTATION")
    if text is None:
        return preset
    found = _ROTATION.fullmatch(text)
    if found is None:
        env.faults.append(
            "ROTATION must be none, optional or always, optionally with ;grace=30m, "
            ";grace=until-used or ;grace=until-used:30d, and ;ends-access-token"
        )
        return preset
    until_used = (found["grace"] or "").startswith(_UNTIL_USED)
    grace = UNTIL_USED_BOUND if until_used else timedelta(0)
    if found["unit"]:
        grace = _duration(found)
    if grace > _MAX_GRACE:
        env.faults.append("ROTATION must have a grace of at most 366 days")
    if until_used and not grace:
        env.faults.append("ROTATION must have a bound above 0 after until-used")
        return preset
    return replace(
        preset,
        rotation=Rotation(kind=RotationKind(found["kind"]), grace=grace, until_used=until_used),
        refresh_ends_access_token=found["ends"] is not None,
    )


def read_lifetimes(env: EnvReader, provider: Provider) -> Provider:
    """Apply the declared lifetimes of tokens whose response has none."""
    if (text := env.optional("ACCESS_TOKEN_LIFETIME")) is not None:
        lifetime = _plain_lifetime(env, "ACCESS_TOKEN_LIFETIME", text, example="30m")
        provider = replace(provider, access_token_lifetime=lifetime)
    if (text := env.optional("REFRESH_TOKEN_LIFETIME")) is not None:
        lifetime, counted = _lifetime(env, "REFRESH_TOKEN_LIFETIME", text)
        provider = replace(provider, refresh_token_lifetime=lifetime, refresh_token_counted=counted)
    if (text := env.optional("LOGIN_LIFETIME")) is not None:
        lifetime = _plain_lifetime(env, "LOGIN_LIFETIME", text, example="365d")
        provider = replace(provider, login_lifetime=lifetime)
    return _refresh_only_within(env, provider)


def _refresh_only_within(env: EnvReader, provider: Provider) -> Provider:
    """Apply `REFRESH_ONLY_WITHIN`: how long an access token may still be valid at a refresh."""
    text = env.optional("REFRESH_ONLY_WITHIN")
    if text is None:
        return provider
    found = _WAIT.fullmatch(text)
    if found is None or (within := _duration(found)) > _MAX_LIFETIME:
        env.faults.append(
            "REFRESH_ONLY_WITHIN must be a duration such as 30s or 5m, at most 3650 days"
        )
        return provider
    return replace(provider, refresh_only_within=within)


def _plain_lifetime(env: EnvReader, name: str, text: str, *, example: str) -> timedelta | None:
    """Read a lifetime that counts in one way only."""
    lifetime, counted = _lifetime(env, name, text)
    if counted is not LifetimeStart.ISSUE:
        env.faults.append(f"{name} must not end in ;sliding or ;from-login: use {example} or never")
    return lifetime


def _lifetime(env: EnvReader, name: str, text: str) -> tuple[timedelta | None, LifetimeStart]:
    found = _LIFETIME.fullmatch(text)
    if found is None:
        if text != _NEVER:
            env.faults.append(
                f"{name} must be a duration such as 30m, 12h or 60d, or never (a refresh token's "
                "may end in ;sliding or ;from-login)"
            )
        return None, LifetimeStart.ISSUE
    lifetime = _duration(found)
    if lifetime > _MAX_LIFETIME:
        env.faults.append(f"{name} must be at most 3650 days, or never")
    return lifetime, LifetimeStart(found["counted"] or LifetimeStart.ISSUE)


def _duration(found: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[found["unit"]]: int(found["amount"])})
