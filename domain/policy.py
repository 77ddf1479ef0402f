"""The durations of the rules of refresh."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from domain.grant import Attempt
from domain.provider import Provider
from domain.tokens import Tokens


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
    # An instance that stalled after it stored the attempt must not send it later.
    send_within: timedelta = timedelta(seconds=5)
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

    def __post_init__(self) -> None:
        if self.send_within + self.request_timeout >= self.lease:
            raise ValueError("a token request must be over before its lease is")

    def lease_end(self, attempt: Attempt) -> datetime:
        """Return when the attempt's request can no longer arrive at the provider (rule 3)."""
        return attempt.started_at + self.lease

    def replay_from(self, attempt: Attempt) -> datetime:
        """Return when the refresh token may be sent again after an unknown outcome (rule 7)."""
        if self.provider.replay_is_harmless:
            return attempt.started_at
        if grace := self.provider.rotation.grace:
            # The window begins when the provider acts, at the earliest when the attempt starts.
            # Half of it is for the replay to arrive.
            return min(self.lease_end(attempt), attempt.started_at + grace / 2)
        return self.lease_end(attempt)

    def replay_until(self, in_doubt_since: datetime) -> datetime:
        """Return until when the provider accepts a refresh token that may be spent (rule 7)."""
        grace = self.provider.rotation.grace
        # The rest of the window is for the replay to arrive.
        return in_doubt_since + grace - min(self.send_within, grace / 4)

    def is_in_flight(self, attempt: Attempt, now: datetime) -> bool:
        """Whether the lease holds (rule 3). A start far ahead means that the clock went back."""
        return abs(now - attempt.started_at) < self.lease

    def last_try_at(self, tokens: Tokens, refused_at: datetime) -> datetime:
        """Return when to try once more after a refusal with a valid access token (rule 6)."""
        ends_at = tokens.access_token_expiry(refused_at)
        # Either both are None, or neither.
        if tokens.expires_at is None or ends_at is None:
            return refused_at + self.refused_retry_wait
        # When the access token expires by the provider's clock. Its lifetime began when the request
        # arrived, as a rule within `send_within`. For a short lifetime, add less.
        life = tokens.expires_at - tokens.issued_at
        return ends_at + min(self.send_within, life / 20)

    def must_wait(self, retry_at: datetime, now: datetime) -> bool:
        """Whether to wait for `retry_at` (rule 2). If it is too far ahead, the clock went back."""
        # The longest wait by one clock is a little longer by another: the lease covers that.
        return now < retry_at <= now + self.max_retry_after + self.lease

    def backoff(self, failures: int, attempt: Attempt) -> timedelta:
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
