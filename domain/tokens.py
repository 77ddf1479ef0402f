"""Tokens and their freshness: the only expiry arithmetic there is."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Self

from domain.provider import AssumedLifetime, LifetimeStart, Provider
from domain.token_endpoint import TokenResponse

# A caller's demand on what is left of a token never exceeds half of the token's life: a token
# that has just been issued must satisfy everybody, or each request would refresh.
MIN_TTL_DIVISOR = 2
# A refresh begins early, but not before two thirds of the life are used, so that short-lived
# tokens are not refreshed all the time.
EARLY_REFRESH_DIVISOR = 3
# A grant that nobody uses is refreshed in the last third of its refresh token's life, and never
# later than this before its end: a sweep that runs once a day, at any minute of an hour (Vercel's
# cron), then has two chances.
KEEP_ALIVE_DIVISOR = 3
KEEP_ALIVE_MARGIN = timedelta(days=2, hours=2)
# Where nothing is known of the refresh token's life: the shortest idle limit in common use is a
# week (Okta's), and a daily sweep has three chances before that.
KEEP_ALIVE_INTERVAL = timedelta(days=3)

# As far as the clocks of instances may be apart, and longer than a token is served after its end.
MAX_CLOCK_SKEW = timedelta(minutes=1)
# A clock that has lost its battery is behind by more than this.
MAX_CLOCK_DELAY = timedelta(days=365)
# Before this software was written it issued nothing: a clock that said so was behind.
EARLIEST_ISSUE = datetime(2026, 1, 1, tzinfo=UTC)


class Freshness(Enum):
    """What tokens are good for at an instant."""

    FRESH = "fresh"
    ACCESS_EXPIRED = "access-expired"
    REFRESH_EXPIRED = "refresh-expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a provider issued, with instants (aware UTC) in the place of durations.

    `generation` counts how often the refresh token of this connection has been replaced, and
    `authorized_at` tells of which login all of them come. `place` is that login's in the order of
    logins, revocations and moves that the record counts, or that of its arrival from elsewhere;
    `revoked` is the place of the last revocation before it. Both are 0 where nothing was counted.
    `expires_at` is None for an access token that does not expire, and
    `refresh_token_expires_at` is None where nothing is known, and `refresh_token_counted` tells
    what moves it; `subject` is the fingerprint of the account, None where the provider does not
    tell it.
    """

    generation: int
    authorized_at: datetime
    issued_at: datetime
    access_token: str = field(repr=False)
    token_type: str
    scope: str | None
    expires_at: datetime | None
    refresh_token: str | None = field(repr=False)
    refresh_token_expires_at: datetime | None
    subject: str | None = None
    # Where it stands in its record is not what it is.
    place: int = field(default=0, compare=False)
    revoked: int = field(default=0, compare=False)
    refresh_token_counted: LifetimeStart = LifetimeStart.ISSUE

    @property
    def age(self) -> tuple[datetime, int]:
        """What orders the tokens of two deployments, which have no count in common.

        Their login first, as generations may begin anew with one. A login is never dated before
        what it has read.
        """
        return self.authorized_at, self.generation

    def are_newer_than(self, others: Self) -> bool:
        """Whether these come after others of the same deployment, by what its record counts."""
        if self.authorized_at == others.authorized_at:
            return self.generation > others.generation
        if self.place == others.place == 0:
            # From before logins were counted: there is nothing else to go by.
            return self.authorized_at > others.authorized_at
        return self.place > others.place

    @classmethod
    def first(
        cls,
        response: TokenResponse,
        *,
        generation: int,
        issued_at: datetime,
        provider: Provider,
        authorized_at: datetime | None = None,
        place: int = 0,
        revoked: int = 0,
    ) -> Self:
        """Keep the tokens of a login. `issued_at` is from before the request was sent."""
        return cls(
            generation=generation,
            authorized_at=authorized_at or issued_at,
            place=place,
            revoked=revoked,
            issued_at=issued_at,
            access_token=response.access_token,
            token_type=response.token_type,
            # RFC 6749 §5.1: no scope in the answer means the scope that was asked for.
            scope=provider.scope if response.scope is None else response.scope,
            expires_at=_access_end(
                issued_at, response, provider, can_refresh=bool(response.refresh_token)
            ),
            refresh_token=response.refresh_token,
            refresh_token_expires_at=_end(
                issued_at, response.refresh_token_expires_in, provider.refresh_token_lifetime
            )
            if response.refresh_token
            else None,
            subject=response.subject,
            refresh_token_counted=provider.refresh_token_counted,
        )

    def refreshed(
        self, response: TokenResponse, *, issued_at: datetime, provider: Provider
    ) -> Self:
        """Keep the tokens of a refresh. `issued_at` is from before the request was sent."""
        replaced = response.refresh_token not in {None, self.refresh_token}
        told = response.refresh_token_expires_in
        counted = provider.refresh_token_counted
        is_moved = (replaced and counted is LifetimeStart.ISSUE) or counted is LifetimeStart.USE
        return type(self)(
            generation=self.generation + replaced,
            authorized_at=self.authorized_at,
            place=self.place,
            revoked=self.revoked,
            issued_at=issued_at,
            access_token=response.access_token,
            token_type=response.token_type,
            scope=self.scope if response.scope is None else response.scope,
            expires_at=_access_end(issued_at, response, provider, can_refresh=True),
            # RFC 6749 §6: without a new refresh token the old one stays in force.
            refresh_token=response.refresh_token or self.refresh_token,
            refresh_token_expires_at=_end(issued_at, told, provider.refresh_token_lifetime)
            if is_moved or told is not None
            else self._known_expiry(issued_at),
            # OpenID Connect Core §12.2: a refresh does not change whose tokens they are.
            subject=self.subject or response.subject,
            refresh_token_counted=counted,
        )

    def _known_expiry(self, used_at: datetime) -> datetime | None:
        """Return when the refresh token expires; None where it has been used after that."""
        expires_at = self.refresh_token_expires_at
        return None if expires_at is None or expires_at <= used_at else expires_at

    def belong_to_other_account(self, subject: str | None) -> bool:
        """Whether these are known to be of another account than the one of this fingerprint."""
        return None not in {self.subject, subject} and self.subject != subject

    def may_belong_to_other_account(self, subject: str | None) -> bool:
        """Whether the account is known that these are of, and this is not known to be the same."""
        return self.subject is not None and self.subject != subject

    def freshness(self, now: datetime) -> Freshness:
        """Say what the tokens are good for at `now`; an expiry belongs to what is over."""
        if self.expires_at is None:
            return Freshness.FRESH
        if not self.can_refresh(now):
            return Freshness.REFRESH_EXPIRED
        is_fresh = self.is_access_token_valid(now) and not self.may_have_expired(now)
        return Freshness.FRESH if is_fresh else Freshness.ACCESS_EXPIRED

    def access_token_expiry(self, now: datetime) -> datetime | None:
        """When the access token expires: what was issued after `now` has its own life at most."""
        ahead = max(self.issued_at - now, timedelta(0))
        return None if self.expires_at is None else self.expires_at - ahead

    def is_access_token_valid(self, now: datetime) -> bool:
        """Whether the access token has not expired at `now`."""
        access_token_expiry = self.access_token_expiry(now)
        return access_token_expiry is None or now < access_token_expiry

    def was_clock_ahead(self, now: datetime) -> bool:
        """Whether the clock was ahead by which these were issued: it may have been at any time."""
        return self.issued_at > now + MAX_CLOCK_SKEW

    def may_have_expired(self, now: datetime) -> bool:
        """Whether nobody knows when the access token expires, and another can be had."""
        replaceable = self.expires_at is not None and self.refresh_token is not None
        return replaceable and self.was_clock_ahead(now)

    def can_refresh(self, now: datetime) -> bool:
        """Whether there is a refresh token that is not known to have expired at `now`."""
        return self.refresh_token is not None and (
            self.refresh_token_expires_at is None
            or now < self.refresh_token_expires_at
            or self._was_clock_behind()
        )

    def _was_clock_behind(self) -> bool:
        """Whether the clock was behind by which these were issued: they live longer than it says.

        It was behind what had happened before: this software, or by years the login.
        """
        return self.issued_at < max(
            self.authorized_at - MAX_CLOCK_DELAY, EARLIEST_ISSUE - MAX_CLOCK_SKEW
        )

    def outlives(self, min_ttl: timedelta, now: datetime) -> bool:
        """Whether the access token lives longer than `min_ttl`, capped at half its life."""
        access_token_expiry = self.access_token_expiry(now)
        if self.expires_at is None or access_token_expiry is None:
            return True
        life = self.expires_at - self.issued_at
        return now + min(min_ttl, life / MIN_TTL_DIVISOR) < access_token_expiry

    def is_access_token_near_end(self, margin: timedelta, now: datetime) -> bool:
        """Whether the access token is in its last `margin`, capped at a third of its life."""
        access_token_expiry = self.access_token_expiry(now)
        if self.expires_at is None or access_token_expiry is None:
            return False
        life = self.expires_at - self.issued_at
        return access_token_expiry <= now + min(margin, life / EARLY_REFRESH_DIVISOR)

    def is_refresh_token_near_end(self, now: datetime) -> bool:
        """Whether the refresh token nears an end that is known, though the access token may live.

        Some expire together, or the refresh token first: waiting for the one loses the other.
        """
        due_at = self.keep_alive_at()
        return self.refresh_token_expires_at is not None and due_at is not None and due_at <= now

    def keep_alive_at(self) -> datetime | None:
        """When an unused grant must be refreshed to stay alive; None for one that cannot be."""
        if self.refresh_token is None or self.expires_at is None:
            return None
        # Its use does not move an end that counts from the login, but may meet a limit not known.
        if (
            self.refresh_token_expires_at is None
            or self.refresh_token_counted is LifetimeStart.LOGIN
        ):
            return self.issued_at + KEEP_ALIVE_INTERVAL
        life = self.refresh_token_expires_at - self.issued_at
        part = life / KEEP_ALIVE_DIVISOR
        # Never due as soon as issued: a refresh always leaves some rest.
        margin = min(max(part, KEEP_ALIVE_MARGIN), life - part)
        return self.refresh_token_expires_at - margin


def _access_end(
    start: datetime, response: TokenResponse, provider: Provider, *, can_refresh: bool
) -> datetime | None:
    declared = provider.access_token_lifetime
    if isinstance(declared, AssumedLifetime):
        declared = declared.lifetime if can_refresh else None
    return _end(start, response.expires_in, declared)


def _end(start: datetime, told: timedelta | None, declared: timedelta | None) -> datetime | None:
    lifetime = declared if told is None else told
    return None if lifetime is None else start + lifetime
