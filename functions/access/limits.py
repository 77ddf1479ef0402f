"""Limits on failures: whoever goes on failing is answered 429, and costs nothing more.

What is refused anyway is counted in windows of some minutes, by the address that it came from or by
the API key that it showed; too many change the words of the refusal, and nothing else. A good
request is neither counted nor asked after, so nobody is locked out by what others do at the same
address; but for logins with a static state, which is right for everybody who knows it. Once there
were too many, this instance writes no more of them to the store or the log until the window is
over; nor, wherever they come from, more than some number in all, and some at one time: who has a
network has addresses without end.

The address is the one that the server tells (ASGI's `client`), and as good as what is in front. On
Vercel, and behind a proxy on the same machine, uvicorn takes it from X-Forwarded-For, which they
write themselves. API Gateway and Function URLs tell it beside the request. A load balancer appends
it to an X-Forwarded-For that may be forged, unless it is told otherwise: its own word is the last.
Where there is none, all failures are counted together. The store is given keyed hashes: there are
few enough addresses to try them all.
"""

import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from functions.access.gate import shown_key
from functions.http.messages import Request
from functions.http.problems import Problem, ProblemError, problem
from functions.settings.api_keys import ApiKey
from ports.clock import Clock
from ports.store import Store, StoreUnavailableError

WINDOW = timedelta(minutes=5)
_SECONDS = WINDOW.total_seconds()
_MINUTES = WINDOW // timedelta(minutes=1)
# Windows that an instance remembers, some hundred bytes each, however many addresses there are.
REMEMBERED = 1000
# Failures of a window that an instance writes to the store, as each is a command to pay for, and a
# key to be kept: some thirty addresses that use up the default limit. Beyond that it goes by what
# it knows itself.
MOST_WRITTEN = 1000
# Failures that wait for the store at one time: what one address needs to use up the default limit.
# What refreshes wait for they are not to fill; this instance remembers what is over.
MAX_CONCURRENT_WRITES = 32

# Counted by the key, if one was shown; all else by the address.
_OF_A_KEY = frozenset({"invalid-request", "key-not-allowed"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSubject:
    """An address or API key whose failures are counted together; texts show the `label`."""

    name: str
    label: str


_STATIC_STATE = RateLimitSubject(name="static state", label="with the OAUTH_STATE")


class FailureLimits:
    """Count what is refused, and refuse it in other words once there is too much of it."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        keys: Sequence[ApiKey],
        hash_keys: Callable[[], Awaitable[Sequence[bytes]]],
        most: int,
    ) -> None:
        """`most` are the failures of a window that are told in their own words; 0 is no limit."""
        self._store = store
        self._clock = clock
        self._keys = keys
        self._hash_keys = hash_keys
        self._most = most
        # By window, the least recently used first: what this instance knows of.
        self._known: dict[tuple[str, datetime], int] = {}
        # The window that goes on, and how many were written in it.
        self._written = (datetime.min.replace(tzinfo=UTC), 0)
        self._being_written = 0

    async def judge(self, found: Problem, request: Request) -> Problem:
        """Return what is wrong by a request's own fault, or `too-many-failures` in its place."""
        if self._most == 0:
            return found
        subject = self._subject_of(found, request)
        now = self._clock.now()
        if not await self._is_too_much(subject, window_end(now)):
            return found
        return _too_many(
            f"Too many failed requests {subject.label} ({self._most} in {_MINUTES} minutes). Valid "
            "requests still work.",
            now,
        ).problem

    async def admit(self, request: Request) -> None:
        """Count a login that brings the static state, before its code is sent on.

        Such a state is right again and again: it is limited like a wrong one, by its address and
        in all, so that nobody finds it out, or has the provider asked for codes without end.

        Raises ProblemError.
        """
        if self._most == 0:
            return
        now = self._clock.now()
        for subject in (_address_of(request), _STATIC_STATE):
            if await self._is_too_much(subject, window_end(now)):
                raise _too_many(
                    f"Too many logins and failed requests {subject.label} ({self._most} in "
                    f"{_MINUTES} minutes). Retry later, or start a login with POST /api/login.",
                    now,
                    on_page="Too many logins and failed requests. Retry in a few minutes.",
                )

    def _subject_of(self, found: Problem, request: Request) -> RateLimitSubject:
        key = shown_key(request, self._keys) if found.name in _OF_A_KEY else None
        if key is not None:
            return RateLimitSubject(name=f"key {key.name}", label=f"with the API key {key.name!r}")
        return _address_of(request)

    async def _is_too_much(self, subject: RateLimitSubject, ends: datetime) -> bool:
        window = (await self._keyed_hash(subject.name), ends)
        # Before the store is asked: of many at once no more are written than of one by one.
        known = self._one_more(window)
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
        self._being_written += 1
        try:
            number = await self._store.count(window[0], window_ends=ends)
        except StoreUnavailableError:
            # What is wrong is said in its own words; that the store is away, others will find.
            self._learn(window, lambda known: known - 1)
            return False
        finally:
            self._being_written -= 1
        self._learn(window, lambda known: max(known, min(number, self._most)))
        return number > self._most

    async def _keyed_hash(self, name: str) -> str:
        key, *_ = await self._hash_keys()
        return hmac.digest(key, name.encode(), "sha256").hex()[:32]

    def _one_more(self, window: tuple[str, datetime]) -> int:
        number = self._known.pop(window, 0) + 1
        self._known[window] = number
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return number

    def _learn(self, window: tuple[str, datetime], correct: Callable[[int], int]) -> None:
        """Correct what is known of a window, unless so many others came that it is forgotten."""
        if window in self._known:
            self._known[window] = correct(self._known[window])

    def _may_write(self, ends: datetime) -> bool:
        """Count one more that is written in the window, if it is not too much."""
        number = self._written[1] if self._written[0] == ends else 0
        if number == MOST_WRITTEN or self._being_written == MAX_CONCURRENT_WRITES:
            return False
        self._written = (ends, number + 1)
        return True


def _address_of(request: Request) -> RateLimitSubject:
    return RateLimitSubject(name=f"address {network_of(request.client)}", label="from this address")


def _too_many(detail: str, now: datetime, *, on_page: str = "") -> ProblemError:
    wait = ceil((window_end(now) - now).total_seconds())
    return problem("too-many-failures", detail, on_page=on_page, retry_after=wait)


def window_end(now: datetime) -> datetime:
    """Return the end of the window that an instant is in, the same for all instances."""
    return datetime.fromtimestamp((now.timestamp() // _SECONDS + 1) * _SECONDS, UTC)


def network_of(client: str) -> str:
    """Return whose an address is: itself, or the network of 64 bits that one host has in IPv6."""
    try:
        address = ip_address(client.rpartition(",")[2].strip())
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)
