"""Tokens, and all arithmetic with their expiry."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Self

from domain.provider import GrantType, LifetimeStart, Provider

if TYPE_CHECKING:
    # As in `first` and `refreshed`.
    from domain.extra import Extra
    from domain.rejections import Rejection
    from domain.token_endpoint import TokenResponse

# `min_ttl` is capped at half of a token's lifetime. A new token must satisfy every caller, or each
# request would refresh.
MIN_TTL_DIVISOR = 2
# A refresh begins early, but only in the last third of the lifetime, so that short-lived tokens
# are not refreshed all the time.
EARLY_REFRESH_DIVISOR = 3
# The sweep refreshes an unused grant in the last third of its refresh token's lifetime, and at
# least this long before it expires. A daily sweep, at any minute of an hour (Vercel's cron), then
# has two chances.
KEEP_ALIVE_DIVISOR = 3
KEEP_ALIVE_MARGIN = timedelta(days=2, hours=2)
# For a refresh token of unknown lifetime. The shortest idle limit in common use is a week (Okta's),
# and a daily sweep has three chances before that.
KEEP_ALIVE_INTERVAL = timedelta(days=3)

# The most that clocks of instances may differ. Longer than a token is served after it expired.
MAX_CLOCK_SKEW = timedelta(minutes=1)
# A clock without a battery is behind by at least this.
CLOCK_LOST_AFTER = timedelta(days=365)
# This software is younger. An earlier issue means that the clock was behind.
EARLIEST_ISSUE = datetime(2026, 1, 1, tzinfo=UTC)


class Freshness(Enum):
    """Which of the tokens are valid at an instant."""

    FRESH = "fresh"
    ACCESS_EXPIRED = "access-expired"
    REFRESH_EXPIRED = "refresh-expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens that a provider issued, with instants (aware UTC) instead of durations.

    - `generation`: how many times the refresh token of this connection has been replaced.
    - `authorized_at`: identifies the login that the tokens come from.
    - `place`: the record's count of logins, revocations and moves at that login, or at its arrival
      from another deployment. `revoked`: the count at the last revocation. 0 if not counted.
    - `expires_at`: None for an access token that does not expire.
    - `refresh_token_expires_at`: None if unknown. `refresh_token_counted`: what extends it.
    - `login_expires_at`: what no refresh extends. None if unknown. `refresh_token_expires_at` is
      not later. If both are equal, and a refresh would extend it, the idle limit is unknown.
    - `subject`: the fingerprint of the account; None if the provider does not name it. `account`:
      its label for people. A refresh without one keeps both.
    - `extra`: the members next to the tokens, of the callback and of the token responses since.
    - `grant_type`: how they were requested. With client credentials there is no refresh token, and
      the login is the first request.
    - `adopted`: the fingerprint of the refresh token that these began with, if it was adopted.
    - `rejection`: the last access token that an API has rejected; None if there was none.
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
    # The same tokens may have another place in another record.
    place: int = field(default=0, compare=False)
    revoked: int = field(default=0, compare=False)
    refresh_token_counted: LifetimeStart = LifetimeStart.ISSUE
    account: str | None = field(repr=False, default=None)
    extra: "Extra" = field(repr=False, default=())
    grant_type: GrantType = GrantType.AUTHORIZATION_CODE
    login_expires_at: datetime | None = None
    adopted: str | None = None
    # It is about other tokens than these.
    rejection: "Rejection | None" = field(default=None, compare=False)

    @property
    def public_generation(self) -> int:
        """The generation as callers see it (rule 18).

        The token that replaces a rejected one has a new one, even without a new refresh token.
        """
        return self.generation + (0 if self.rejection is None else self.rejection.unrotated)

    @property
    def is_replaceable(self) -> bool:
        """Whether a request without a person can replace the access token, as far as is known."""
        is_own = self.grant_type is GrantType.CLIENT_CREDENTIALS
        return is_own or self.refresh_token is not None

    @property
    def login_end(self) -> datetime | None:
        """When a login is required at the latest, however often the tokens are refreshed."""
        is_fixed = self.refresh_token_counted is LifetimeStart.LOGIN
        return self.refresh_token_expires_at if is_fixed else self.login_expires_at

    @property
    def age(self) -> tuple[datetime, int]:
        """The order of tokens of two deployments, which share no count.

        The login decides first, because generations may start again with one. A login is always
        later than the grant that it has read.
        """
        return self.authorized_at, self.generation

    def are_newer_than(self, others: Self) -> bool:
        """Whether these come after others of the same deployment, by the count of its record."""
        if self.authorized_at == others.authorized_at:
            return self.generation > others.generation
        if self.place == others.place == 0:
            # An earlier version did not count logins: only the dates are left.
            return self.authorized_at > others.authorized_at
        return self.place > others.place

    @classmethod
    def first(
        cls,
        response: "TokenResponse",
        *,
        generation: int,
        issued_at: datetime,
        provider: Provider,
        authorized_at: datetime | None = None,
        place: int = 0,
        revoked: int = 0,
        grant_type: GrantType = GrantType.AUTHORIZATION_CODE,
    ) -> Self:
        """Return the tokens of a login. `issued_at` is from before the request was sent."""
        is_own = grant_type is GrantType.CLIENT_CREDENTIALS
        if is_own:
            # RFC 6749 §4.4.3: there should be none. The client's credentials are enough.
            response = replace(response, refresh_token=None, refresh_token_expires_in=None)
        # A fresh token does not need this.
        from domain.expiries import RefreshTokenEnd, access_token_end

        begun_at = authorized_at or issued_at
        end = RefreshTokenEnd.after_login(
            response, issued_at=issued_at, authorized_at=begun_at, provider=provider
        )
        return cls(
            generation=generation,
            authorized_at=begun_at,
            place=place,
            revoked=revoked,
            issued_at=issued_at,
            access_token=response.access_token,
            token_type=response.token_type,
            # RFC 6749 §5.1: no scope in the response means the requested scope.
            scope=provider.scope if response.scope is None else response.scope,
            expires_at=access_token_end(
                response,
                issued_at=issued_at,
                provider=provider,
                can_refresh=is_own or bool(response.refresh_token),
            ),
            refresh_token=response.refresh_token,
            refresh_token_expires_at=end.at,
            subject=response.subject,
            refresh_token_counted=end.counted,
            login_expires_at=end.login,
            account=response.account,
            extra=response.extra,
            grant_type=grant_type,
        )

    def refreshed(
        self, response: "TokenResponse", *, issued_at: datetime, provider: Provider
    ) -> Self:
        """Return the tokens after a refresh. `issued_at` is from before the request was sent."""
        if self.grant_type is GrantType.CLIENT_CREDENTIALS:
            # Each request is like the first one.
            tokens = type(self).first(
                response,
                generation=self.generation,
                issued_at=issued_at,
                provider=provider,
                authorized_at=self.authorized_at,
                place=self.place,
                revoked=self.revoked,
                grant_type=self.grant_type,
            )
            return replace(tokens, rejection=self._rejection_after(is_rotated=False))
        # A fresh token does not need this.
        from domain.expiries import RefreshTokenEnd, access_token_end
        from domain.extra import merge_extra

        replaced = response.refresh_token not in {None, self.refresh_token}
        end = RefreshTokenEnd.after_refresh(
            response,
            issued_at=issued_at,
            authorized_at=self.authorized_at,
            provider=provider,
            is_replaced=replaced,
            known=None if self._has_unknown_idle_limit else self.refresh_token_expires_at,
        )
        return type(self)(
            generation=self.generation + replaced,
            authorized_at=self.authorized_at,
            place=self.place,
            revoked=self.revoked,
            issued_at=issued_at,
            access_token=response.access_token,
            token_type=response.token_type,
            scope=self.scope if response.scope is None else response.scope,
            expires_at=access_token_end(
                response, issued_at=issued_at, provider=provider, can_refresh=True
            ),
            # RFC 6749 §6: without a new refresh token the old one stays in force.
            refresh_token=response.refresh_token or self.refresh_token,
            refresh_token_expires_at=end.at,
            # OpenID Connect Core §12.2: a refresh does not change whose tokens they are.
            subject=self.subject or response.subject,
            refresh_token_counted=end.counted,
            login_expires_at=end.login,
            account=self._account_after(response),
            # A response may name them at the login only.
            extra=merge_extra(self.extra, response.extra),
            adopted=self.adopted,
            rejection=self._rejection_after(is_rotated=replaced),
        )

    def _rejection_after(self, *, is_rotated: bool) -> "Rejection | None":
        """Return what the tokens of a refresh keep (rule 18)."""
        if self.rejection is None:
            return None
        return self.rejection.after_refresh(self.public_generation, is_rotated=is_rotated)

    def _account_after(self, response: "TokenResponse") -> str | None:
        """Return the account's label after a refresh, which does not change the account."""
        if response.account is None or self.belong_to_other_account(response.subject):
            return self.account
        return response.account

    @property
    def _has_unknown_idle_limit(self) -> bool:
        """Whether the end of the login is all that is known, if anything."""
        if self.refresh_token_expires_at is None:
            return True
        is_fixed = self.refresh_token_counted is LifetimeStart.LOGIN
        return not is_fixed and self.refresh_token_expires_at == self.login_expires_at

    def belong_to_other_account(self, subject: str | None) -> bool:
        """Whether these are known to be of another account than `subject`."""
        return None not in {self.subject, subject} and self.subject != subject

    def may_belong_to_other_account(self, subject: str | None) -> bool:
        """Whether the account of these is known, and `subject` is not known to be the same."""
        return self.subject is not None and self.subject != subject

    def freshness(self, now: datetime) -> Freshness:
        """Return which of the tokens are valid at `now`. A token has expired at its expiry."""
        if self.expires_at is None:
            return Freshness.FRESH
        if not self.can_refresh(now):
            return Freshness.REFRESH_EXPIRED
        is_fresh = self.is_access_token_valid(now) and not self.may_have_expired(now)
        return Freshness.FRESH if is_fresh else Freshness.ACCESS_EXPIRED

    def access_token_expiry(self, now: datetime) -> datetime | None:
        """Return when the access token expires: at most its lifetime after `now`."""
        ahead = max(self.issued_at - now, timedelta(0))
        return None if self.expires_at is None else self.expires_at - ahead

    def is_access_token_valid(self, now: datetime) -> bool:
        """Whether the access token has not expired at `now`."""
        access_token_expiry = self.access_token_expiry(now)
        return access_token_expiry is None or now < access_token_expiry

    def was_clock_ahead(self, now: datetime) -> bool:
        """Whether the clock of the issue was ahead: the tokens may be of any age."""
        return self.issued_at > now + MAX_CLOCK_SKEW

    def may_have_expired(self, now: datetime) -> bool:
        """Whether the clock of the issue was ahead, and the access token can be replaced."""
        expires = self.expires_at is not None
        return expires and self.is_replaceable and self.was_clock_ahead(now)

    def can_refresh(self, now: datetime) -> bool:
        """Whether they are replaceable, and no refresh token is known to have expired at `now`."""
        return self.is_replaceable and (
            self.refresh_token_expires_at is None
            or now < self.refresh_token_expires_at
            or self._was_clock_behind()
        )

    def _was_clock_behind(self) -> bool:
        """Whether the clock of the issue was behind: the tokens expire later than stated.

        It was behind if the issue is before this software existed, or over a year before the login.
        """
        return self.issued_at < max(
            self.authorized_at - CLOCK_LOST_AFTER, EARLIEST_ISSUE - MAX_CLOCK_SKEW
        )

    def outlives(self, min_ttl: timedelta, now: datetime) -> bool:
        """Whether the access token outlives `min_ttl`, capped at half its lifetime (rule 1)."""
        end = self.ends_before(min_ttl, now, divisor=MIN_TTL_DIVISOR)
        return end is None or now < end

    def is_access_token_near_end(self, margin: timedelta, now: datetime) -> bool:
        """Whether the access token is in its last `margin`, at most its last third (rule 1)."""
        end = self.ends_before(margin, now, divisor=EARLY_REFRESH_DIVISOR)
        return end is not None and end <= now

    def ends_before(self, margin: timedelta, now: datetime, *, divisor: int) -> datetime | None:
        """Return `margin` before the access token's expiry; None if it does not expire (rule 1).

        The margin is at most the lifetime divided by `divisor`.
        """
        access_token_expiry = self.access_token_expiry(now)
        if self.expires_at is None or access_token_expiry is None:
            return None
        life = self.expires_at - self.issued_at
        return access_token_expiry - min(margin, life / divisor)

    def is_refresh_token_near_end(self, now: datetime) -> bool:
        """Whether the refresh token nears a known expiry, even with a valid access token (rule 1).

        Both may expire together, or the refresh token first. Waiting would cost the grant.
        """
        at = self.refresh_token_near_end_at()
        return at is not None and at <= now

    def refresh_token_near_end_at(self) -> datetime | None:
        """Return from when the refresh token nears a known expiry; None without one (rule 1)."""
        return None if self._has_unknown_idle_limit else self.keep_alive_at()

    def keep_alive_at(self) -> datetime | None:
        """Return when an unused grant must be refreshed to stay valid; None for never (rule 1).

        No refresh extends a lifetime from the login. Then it is its end, when a login is required.
        """
        if self.refresh_token is None or self.expires_at is None:
            return None
        if self.refresh_token_expires_at is None or self._has_unknown_idle_limit:
            return self.issued_at + KEEP_ALIVE_INTERVAL
        if self.refresh_token_counted is LifetimeStart.LOGIN:
            return self.refresh_token_expires_at
        life = self.refresh_token_expires_at - self.issued_at
        part = life / KEEP_ALIVE_DIVISOR
        # A third of the lifetime at least passes before the next refresh is due.
        margin = min(max(part, KEEP_ALIVE_MARGIN), life - part)
        return self.refresh_token_expires_at - margin
