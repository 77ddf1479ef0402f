"""The durations of the rules of refresh."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from zlib import crc32

from domain.provider import GrantType, Provider, Rotation, RotationKind
from domain.tokens import Tokens

if TYPE_CHECKING:
    # A fresh token needs none of the states of a refresh.
    from domain.grant import Attempt, Grant

# An instance that stalled after it stored the attempt must not send it later.
SEND_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A provider, the fingerprint of the client credentials, and durations.

    Raises ValueError if a request could outlast its lease.
    """

    provider: Provider
    client: str = field(repr=False)
    # Long enough to bridge a short outage of the provider.
    refresh_early: timedelta = timedelta(minutes=5)
    # Two explicit refreshes within this time, or from two machines, mean one.
    min_refresh_interval: timedelta = timedelta(seconds=10)
    send_within: timedelta = SEND_WITHIN
    # Some providers are slow, and waiting for them costs nothing.
    request_timeout: timedelta = timedelta(seconds=30)
    # The rest after the timeout is for a request that is still on its way, and for clocks that
    # differ.
    lease: timedelta = timedelta(seconds=60)
    first_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=5)
    # `Retry-After` is honoured, but must not make a deployment unusable.
    max_retry_after: timedelta = timedelta(hours=1)
    # A refused token is tried again with other client credentials. Two deployments that share a
    # store, with different credentials, then take turns, this far apart.
    other_client_wait: timedelta = timedelta(minutes=1)
    # Short enough after the cause of a refusal was corrected, and long enough that repeated
    # requests do not trouble the provider.
    refused_retry_wait: timedelta = timedelta(minutes=5)
    # For an API that rejects every access token. The first wait is `min_refresh_interval`.
    max_rejection_wait: timedelta = timedelta(minutes=5)
    # Twice the longest wait: a caller that retries when it may is not forgotten.
    rejections_forgotten_after: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if self.send_within + self.request_timeout >= self.lease:
            raise ValueError("a token request must be over before its lease is")

    def for_grant(self, grant: "Grant") -> Self:
        """Return the policy for a grant: a client's own credentials do not rotate (rule 7)."""
        # Imported here, because a fresh token does not need it.
        from domain.grant import grant_type_of

        grant_type = grant_type_of(grant) or self.provider.grant_type
        if grant_type is GrantType.AUTHORIZATION_CODE:
            return self
        return replace(
            self, provider=replace(self.provider, rotation=Rotation(kind=RotationKind.NONE))
        )

    def lease_end(self, attempt: "Attempt") -> datetime:
        """Return when the attempt's request can no longer arrive at the provider (rule 3)."""
        return attempt.started_at + self.lease

    def replay_from(self, attempt: "Attempt") -> datetime:
        """Return when the refresh token may be sent again after an unknown outcome (rule 7)."""
        if self.provider.replay_is_harmless:
            return attempt.started_at
        rotation = self.provider.rotation
        if (grace := rotation.grace) and not rotation.until_used:
            # The window begins when the provider acts, at the earliest when the attempt starts.
            # Half of it is for the replay to arrive.
            return min(self.lease_end(attempt), attempt.started_at + grace / 2)
        # In a window until the new tokens are used, two requests must not overlap. A caller could
        # use the tokens of one before the other arrives.
        return self.lease_end(attempt)

    def replay_until(self, in_doubt_since: datetime) -> datetime:
        """Return until when the provider accepts a refresh token that may be spent (rule 7)."""
        grace = self.provider.rotation.grace
        # The rest of the window is for the replay to arrive.
        return in_doubt_since + grace - min(self.send_within, grace / 4)

    def in_doubt_from_memory(self, tokens: Tokens, now: datetime) -> datetime:
        """Return since when the refresh token of a restored grant may be spent (rule 7)."""
        rotation, issued_at = self.provider.rotation, min(tokens.issued_at, now)
        # The tokens in the lost record may have been used: then the window is over.
        return issued_at - rotation.grace if rotation.until_used else issued_at

    @property
    def serves_unstored_tokens(self) -> bool:
        """Whether callers get new tokens that the store could not take (rule 7).

        Their use would end the old refresh token, which is the only one in the store.
        """
        return not self.provider.rotation.until_used

    def refresh_from(self, tokens: Tokens, now: datetime) -> datetime | None:
        """Return from when the provider accepts a refresh; None if at any time (rule 2)."""
        within, ends_at = self.provider.refresh_only_within, self._end_by_provider(tokens, now)
        if within is None or ends_at is None or tokens.may_have_expired(now):
            return None
        return ends_at - within

    def may_be_too_early(self, tokens: Tokens, started_at: datetime) -> bool:
        """Whether the provider may have refused an attempt as too early (rule 6).

        The request that brought the tokens arrived within its lease, so they may expire later by
        the provider's clock.
        """
        within, expires_at = self.provider.refresh_only_within, tokens.expires_at
        if within is None or expires_at is None:
            return False
        return started_at < expires_at + self.lease - within

    def _end_by_provider(self, tokens: Tokens, now: datetime) -> datetime | None:
        """Return when the access token expires by the provider's clock; None for never.

        Its lifetime began when the request arrived, as a rule within `send_within`. For a short
        lifetime, add less.
        """
        ends_at = tokens.access_token_expiry(now)
        if tokens.expires_at is None or ends_at is None:
            return None
        life = tokens.expires_at - tokens.issued_at
        return ends_at + min(self.send_within, life / 20)

    def is_in_flight(self, attempt: "Attempt", now: datetime) -> bool:
        """Whether the lease holds (rule 3). A start far ahead means that the clock went back."""
        return self.is_recent(attempt.started_at, now)

    def is_recent(self, instant: datetime, now: datetime) -> bool:
        """Whether less than a lease lies between the two. Longer means that the clock went back."""
        return abs(now - instant) < self.lease

    def last_try_at(self, tokens: Tokens, refused_at: datetime) -> datetime:
        """Return when to try once more after a refusal with a valid access token (rule 6)."""
        ends_at = self._end_by_provider(tokens, refused_at)
        return refused_at + self.refused_retry_wait if ends_at is None else ends_at

    def must_wait(self, retry_at: datetime, now: datetime) -> bool:
        """Whether to wait for `retry_at` (rule 2). If it is too far ahead, the clock went back."""
        # The longest wait by one clock is a little longer by another: the lease covers that.
        return now < retry_at <= now + self.max_retry_after + self.lease

    def backoff(self, failures: int, attempt: "Attempt") -> timedelta:
        """Return the wait after so many failures in a row: doubling, capped, with jitter (rule 7).

        The jitter comes from the attempt's random id, so that a decision depends on its arguments
        only.
        """
        if failures == 0:
            return timedelta(0)
        # After thirty doublings any first backoff exceeds any cap. A timedelta would overflow.
        ceiling = self.first_backoff * (1 << min(failures - 1, 30))
        jitter = crc32(attempt.id.encode()) / 2**32
        return min(ceiling, self.max_backoff) * (1 + jitter) / 2
