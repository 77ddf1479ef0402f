"""Rotation and lifetimes in the environment. Imported where they are set."""

import re
from dataclasses import replace
from datetime import timedelta

from domain.provider import LifetimeStart, Provider, Rotation, RotationKind
from functions.settings.environment import EnvReader

_ROTATION = re.compile(
    r"(?P<kind>none|optional|always)"
    r"(;grace=(?P<amount>[0-9]{1,6})(?P<unit>[smhd]))?"
    r"(?P<ends>;ends-access-token)?"
)
_LIFETIME = re.compile(
    r"(?P<amount>[1-9][0-9]{0,5})(?P<unit>[smhd])(;(?P<counted>sliding|from-login))?"
)
_NEVER = "never"
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
            "ROTATION must be none, optional or always, optionally with ;grace=30m and "
            ";ends-access-token"
        )
        return preset
    grace = _duration(found) if found["unit"] else timedelta(0)
    if grace > _MAX_GRACE:
        env.faults.append("ROTATION must have a grace of at most 366 days")
    return replace(
        preset,
        rotation=Rotation(kind=RotationKind(found["kind"]), grace=grace),
        refresh_ends_access_token=found["ends"] is not None,
    )


def read_lifetimes(env: EnvReader, provider: Provider) -> Provider:
    """Apply the declared lifetimes of tokens whose response has none."""
    if (text := env.optional("ACCESS_TOKEN_LIFETIME")) is not None:
        lifetime, counted = _lifetime(env, "ACCESS_TOKEN_LIFETIME", text)
        if counted is not LifetimeStart.ISSUE:
            env.faults.append(
                "ACCESS_TOKEN_LIFETIME must not end in ;sliding or ;from-login: use 30m or never"
            )
        provider = replace(provider, access_token_lifetime=lifetime)
    if (text := env.optional("REFRESH_TOKEN_LIFETIME")) is not None:
        lifetime, counted = _lifetime(env, "REFRESH_TOKEN_LIFETIME", text)
        provider = replace(provider, refresh_token_lifetime=lifetime, refresh_token_counted=counted)
    return provider


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
