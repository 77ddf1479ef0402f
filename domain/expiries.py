"""When new tokens expire, by the lifetimes that a response states or that a provider declares.

The machine asks for this after a login or a refresh only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from domain.provider import AssumedLifetime, LifetimeStart, Provider
from domain.token_endpoint import TokenResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenEnd:
    """When a refresh token expires, what extends that, and when its login ends.

    The fields are `refresh_token_expires_at`, `refresh_token_counted` and `login_expires_at` of
    `Tokens`.
    """

    at: datetime | None
    counted: LifetimeStart
    login: datetime | None

    @classmethod
    def after_login(
        cls,
        response: TokenResponse,
        *,
        issued_at: datetime,
        authorized_at: datetime,
        provider: Provider,
    ) -> Self:
        """Return the end of the refresh token of a login."""
        counted = provider.refresh_token_counted
        if not response.refresh_token:
            return cls(at=None, counted=counted, login=None)
        returned, declared = response.refresh_token_expires_in, provider.refresh_token_lifetime
        own = _expiry(issued_at, returned, declared)
        return cls._earlier(own, login=_login_end(authorized_at, issued_at, provider), of=counted)

    @classmethod
    def after_refresh(
        cls,
        response: TokenResponse,
        *,
        issued_at: datetime,
        authorized_at: datetime,
        provider: Provider,
        is_replaced: bool,
        known: datetime | None,
    ) -> Self:
        """Return the end of the refresh token after a refresh.

        `known` is its own expiry before. It counts no longer if tokens were issued after it.
        """
        returned, declared = response.refresh_token_expires_in, provider.refresh_token_lifetime
        counted, known = provider.refresh_token_counted, _after(issued_at, known)
        if counted is LifetimeStart.LOGIN:
            fixed = known or _after(issued_at, _expiry(authorized_at, None, declared))
            # A response may repeat the lifetime of a new login.
            own = _first(fixed, _expiry(issued_at, returned, None))
        elif counted is LifetimeStart.USE or is_replaced or returned is not None:
            own = _expiry(issued_at, returned, declared)
        else:
            own = known
        return cls._earlier(own, login=_login_end(authorized_at, issued_at, provider), of=counted)

    @classmethod
    def _earlier(cls, own: datetime | None, *, login: datetime | None, of: LifetimeStart) -> Self:
        """Return the earlier of the expiry that counts from `of`, and the end of the login."""
        is_fixed = own is not None and login is not None and login <= own
        counted = LifetimeStart.LOGIN if is_fixed else of
        return cls(at=_first(own, login), counted=counted, login=login)


def access_token_end(
    response: TokenResponse, *, issued_at: datetime, provider: Provider, can_refresh: bool
) -> datetime | None:
    """Return when an access token expires; None for never."""
    declared = provider.access_token_lifetime
    if isinstance(declared, AssumedLifetime):
        declared = declared.lifetime if can_refresh else None
    return _expiry(issued_at, response.expires_in, declared)


def _login_end(authorized_at: datetime, issued_at: datetime, provider: Provider) -> datetime | None:
    """Return when the login ends; None if unknown, also if tokens were issued after that."""
    return _after(issued_at, _expiry(authorized_at, None, provider.login_lifetime))


def _expiry(
    start: datetime, returned: timedelta | None, declared: timedelta | None
) -> datetime | None:
    lifetime = declared if returned is None else returned
    return None if lifetime is None else start + lifetime


def _after(instant: datetime, expiry: datetime | None) -> datetime | None:
    return None if expiry is None or expiry <= instant else expiry


def _first(*expiries: datetime | None) -> datetime | None:
    return min((expiry for expiry in expiries if expiry is not None), default=None)
