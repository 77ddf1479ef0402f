"""How patient to be: the durations that the rules of refresh are applied with."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from domain.grant import Attempt
from domain.provider import Provider
from domain.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A provider, the client's credentials by their fingerprint, and durations.

    Raises ValueError where a request could outlive its lease.
    """

    provider: Provider
    client: str = field(repr=False)
    # Long enough that a provider's short outage passes unnoticed.
    refresh_early: timedelta = timedelta(minutes=5)
    # Who asks for a refresh twice, or on two machines, means one.
    min_refresh_interval: timedelta = timedelta(seconds=10)
    # An instance that was stalled between intent and request must not send any more.
    send_within: timedelta = timedelta(seconds=5)
    # Slow providers answer late rather than never, and a late answer costs nothing.
    request_timeout: timedelta = timedelta(seconds=30)
    # What remains after the request's timeout is for the request to land, or to be lost, and for
    # clocks that disagree.
    lease: timedelta = timedelta(seconds=60)
    first_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=5)
    # A provider's wish is granted, but not to the point of an unusable deployment.
    max_retry_after: timedelta = timedelta(hours=1)
    # A verdict is asked for again under other credentials; two deployments that differ in them and
    # share a store then ask by turns, at this pace at most.
    other_client_wait: timedelta = timedelta(minutes=1)
    # Somebody who has mended what was refused need not wait for long, and one who asks all the time
    # does not make the provider notice.
    refused_retry_wait: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if self.send_within + self.request_timeout >= self.lease:
            raise ValueError("a token request must be over before its lease is")

    def lease_end(self, attempt: Attempt) -> datetime:
        """When the attempt's request can no longer arrive at the provider."""
        return attempt.started_at + self.lease

    def replay_from(self, attempt: Attempt) -> datetime:
        """When the refresh token of an attempt of unknown outcome may be sent again."""
        if self.provider.replay_is_harmless:
            return attempt.started_at
        if grace := self.provider.rotation.grace:
            # The window opens when the provider acts, at the earliest when the attempt starts;
            # half of it is left for the replay to arrive in.
            return min(self.lease_end(attempt), attempt.started_at + grace / 2)
        return self.lease_end(attempt)

    def replay_until(self, in_doubt_since: datetime) -> datetime:
        """Until when a refresh token in doubt is sure to be honoured, if it was acted upon."""
        grace = self.provider.rotation.grace
        # The rest of the window is for the replay to be sent and to arrive in.
        return in_doubt_since + grace - min(self.send_within, grace / 4)

    def is_in_flight(self, attempt: Attempt, now: datetime) -> bool:
        """Whether the attempt may still be going on; a start far ahead is a clock gone back."""
        return abs(now - attempt.started_at) < self.lease

    def last_try_at(self, tokens: Tokens, refused_at: datetime) -> datetime:
        """When a refresh token that was refused while the access token lives is tried once more.

        At the access token's end by the provider's clock: it began to count when the request came
        to it, which is `send_within` after the attempt's start at most, as a rule. Where a life is
        short, that would be most of it.
        """
        ends_at = tokens.access_token_expiry(refused_at)
        if tokens.expires_at is None or ends_at is None:
            return refused_at + self.refused_retry_wait
        life = tokens.expires_at - tokens.issued_at
        return ends_at + min(self.send_within, life / 20)

    def must_wait(self, retry_at: datetime, now: datetime) -> bool:
        """Whether `retry_at` is to be waited for; one too far ahead is a clock gone back.

        What the longest wait is for one clock is a little longer for another: a lease allows for
        that as well.
        """
        return now < retry_at <= now + self.max_retry_after + self.lease

    def backoff(self, failures: int, attempt: Attempt) -> timedelta:
        """How long to wait after so many failures in a row: doubling, capped, with jitter.

        The jitter is drawn from the attempt's random id, so that a decision stays a function of
        its arguments.
        """
        if failures == 0:
            return timedelta(0)
        # Past thirty doublings any first step exceeds any cap; a timedelta would overflow.
        ceiling = self.first_backoff * (1 << min(failures - 1, 30))
        jitter = crc32(attempt.id.encode()) / 2**32
        return min(ceiling, self.max_backoff) * (1 + jitter) / 2
