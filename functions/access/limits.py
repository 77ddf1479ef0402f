"""Rate limits on failed requests: too many from one subject get 429.

Failed requests are counted in windows of five minutes, by address or by API key. A valid request is
neither counted nor refused, so that nobody is locked out by others at the same address. Logins with
a static state are counted too: everybody who knows the state can use it.

Beyond the limit, this instance writes no more failures of a subject to the store or the log until
the window ends. It also limits all writes, in total and at once, because an attacker may have any
number of addresses.

The address is ASGI's `client`. It is as trustworthy as the proxy:
 - On Vercel, and behind a proxy on the same machine, uvicorn reads their X-Forwarded-For.
 - API Gateway and Function URLs send it outside of the request.
 - A load balancer appends it to an X-Forwarded-For that may be forged; the last value is its own.
Without an address, all failures are counted together. The store gets keyed hashes, because there
are too few addresses for plain ones.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from functions.access.gate import key_of_request
from functions.http.messages import Request
from functions.http.problems import Problem, ProblemError, problem
from functions.observability.tracing import current
from functions.settings.api_keys import ApiKey
from ports.clock import Clock
from ports.store import Store, StoreUnavailableError

WINDOW = timedelta(minutes=5)
_SECONDS = WINDOW.total_seconds()
_MINUTES = WINDOW // timedelta(minutes=1)
# Windows that an instance remembers, some hundred bytes each.
MAX_WINDOWS = 1000
# The most failures of a window that an instance writes to the store, where each costs a command and
# a key. Beyond it, the instance goes by its own counts.
MAX_WRITES = 1000
# The most failures that wait for the store at once, so that refreshes do not wait behind them.
MAX_CONCURRENT_WRITES = 32

# Counted by the API key, if there is one; the others by the address.
_KEY_ERRORS = frozenset({"invalid-request", "key-not-allowed"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSubject:
    """An address or API key whose failures are counted together; texts show the `label`."""

    name: str
    label: str


_STATIC_STATE = RateLimitSubject(name="static state", label="with the OAUTH_STATE")


class FailureLimits:
    """Counts failed requests, and refuses too many with 429."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        keys: Sequence[ApiKey],
        hash_keys: Callable[[], Awaitable[Sequence[bytes]]],
        most: int,
    ) -> None:
        """`most` is the number of failures in a window before 429; 0 disables the limit."""
        self._store = store
        self._clock = clock
        self._keys = keys
        self._hash_keys = hash_keys
        self._most = most
        # This instance's counts by window, the least recently used first.
        self._counts: dict[tuple[str, datetime], int] = {}
        # The current window, and the number of its writes.
        self._writes = (datetime.min.replace(tzinfo=UTC), 0)
        self._open_writes = 0

    async def count_failure(self, found: Problem, request: Request) -> Problem:
        """Count a client error, and return it, or `too-many-failures` instead."""
        if self._most == 0:
            return found
        subject = self._subject_of(found, request)
        now = self._clock.now()
        if not await self._count_and_check(subject, window_end(now)):
            return found
        return _too_many(
            f"Too many failed requests {subject.label} ({self._most} in {_MINUTES} minutes). "
            "Correct them and retry; valid requests still work.",
            now,
        ).problem

    async def count_static_login(self, request: Request) -> None:
        """Count a login with the static state, before its code is sent.

        Such a state is valid any number of times. It is limited by address and in total, so that
        nobody can guess it, or flood the provider with codes.

        Raises ProblemError.
        """
        if self._most == 0:
            return
        now = self._clock.now()
        for subject in (_address_of(request), _STATIC_STATE):
            if await self._count_and_check(subject, window_end(now)):
                raise _too_many(
                    f"Too many logins and failed requests {subject.label} ({self._most} in "
                    f"{_MINUTES} minutes). Retry later, or start a login with POST /api/login.",
                    now,
                    on_page="Too many logins and failed requests. Retry in a few minutes.",
                )

    def _subject_of(self, found: Problem, request: Request) -> RateLimitSubject:
        name = self._key_name(request) if found.name in _KEY_ERRORS else None
        if name is not None:
            return RateLimitSubject(name=f"key {name}", label=f"with the API key {name!r}")
        return _address_of(request)

    def _key_name(self, request: Request) -> str | None:
        # A key of a body: the gate has read it already.
        if (trace := current()) is not None and trace.known_key is not None:
            return trace.known_key
        key = key_of_request(request, self._keys)
        return None if key is None else key.name

    async def _count_and_check(self, subject: RateLimitSubject, ends: datetime) -> bool:
        """Count a failure, and return whether that exceeds the limit."""
        window = (await self._keyed_hash(subject.name), ends)
        # Count here before the store does, so that concurrent failures are limited as well.
        known = self._increment(window)
        if known > self._most:
            if known == self._most + 1:
                _log.warning(
                    "too many failed requests %s (%.8s): more than %d; no more are counted until "
                    "%s",
                    subject.label,
                    window[0],
                    self._most,
                    ends.isoformat(),
                )
            return True
        if not self._may_write(ends):
            return False
        self._open_writes += 1
        try:
            number = await self._store.count(window[0], window_ends=ends)
        except StoreUnavailableError:
            # The client gets its own error; other requests report the store.
            self._correct(window, lambda known: known - 1)
            return False
        finally:
            self._open_writes -= 1
        self._correct(window, lambda known: max(known, min(number, self._most)))
        return number > self._most

    async def _keyed_hash(self, name: str) -> str:
        key, *_ = await self._hash_keys()
        return hmac.digest(key, name.encode(), "sha256").hex()[:32]

    def _increment(self, window: tuple[str, datetime]) -> int:
        number = self._counts.pop(window, 0) + 1
        self._counts[window] = number
        if len(self._counts) > MAX_WINDOWS:
            del self._counts[next(iter(self._counts))]
        return number

    def _correct(self, window: tuple[str, datetime], change: Callable[[int], int]) -> None:
        """Correct the count of a window that is still remembered."""
        if window in self._counts:
            self._counts[window] = change(self._counts[window])

    def _may_write(self, ends: datetime) -> bool:
        """Count one more write in the window, if the limits allow it."""
        number = self._writes[1] if self._writes[0] == ends else 0
        if number == MAX_WRITES or self._open_writes == MAX_CONCURRENT_WRITES:
            return False
        self._writes = (ends, number + 1)
        return True


def _address_of(request: Request) -> RateLimitSubject:
    return RateLimitSubject(name=f"address {network_of(request.client)}", label="from this address")


def _too_many(detail: str, now: datetime, *, on_page: str = "") -> ProblemError:
    wait = ceil((window_end(now) - now).total_seconds())
    return problem("too-many-failures", detail, on_page=on_page, retry_after=wait)


def window_end(now: datetime) -> datetime:
    """Return the end of an instant's window, the same on all instances."""
    return datetime.fromtimestamp((now.timestamp() // _SECONDS + 1) * _SECONDS, UTC)


def network_of(client: str) -> str:
    """Return the address, or its /64 network in IPv6, which one host has as a whole."""
    try:
        address = ip_address(client.rpartition(",")[2].strip())
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)
