"""The keys that an issuer publishes, by its discovery document (OpenID Connect Discovery 1.0 §4).

They are read when they are needed first, and kept in this process:

1. They are read again after ten minutes, so that a withdrawn key is soon refused.
2. A token with an unknown `kid` reads them at once, because issuers replace their keys.
3. Reads are at least half a minute apart, also after a failure. All requests share one.
4. While the issuer is away, its last keys are used for an hour.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from math import ceil
from ssl import SSLError
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.failure_reasons import reason_of
from adapters.network import MetadataHosts
from adapters.provider_http import provider_client, read_body, run_in_time
from adapters.strict_json import strict_object
from domain.jwk_set import Jwk, JwkSet, UnusableKeysError
from domain.metadata import is_safe_url, metadata_urls
from ports.clock import Clock
from ports.identity_tokens import IssuerUnavailableError
from ports.network_settings import NetworkSettingsError

FRESH_FOR = timedelta(minutes=10)
"""How long keys are used without being read again."""

LONGEST_USE = timedelta(hours=1)
"""How long keys are used while the issuer is away."""

READ_PAUSE = timedelta(seconds=30)
"""The least time between two reads, so that forged tokens cause few requests."""

READ_LIMIT = timedelta(seconds=5)
"""For both requests of a read together: a caller waits for them."""

MAX_DOCUMENT_BYTES = 256 * 1024
"""The longest documents in use have about 20 KiB, with certificates."""

_log = logging.getLogger(__name__)


class HttpxIssuerKeys:
    """The keys of one issuer. Its repr has nothing of them."""

    def __init__(self, issuer: str, *, clock: Clock, limit: timedelta = READ_LIMIT) -> None:
        self._issuer = issuer
        self._clock = clock
        self._limit = limit
        self._keys: JwkSet | None = None
        self._read_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._read: asyncio.Task[None] | None = None
        self._failure = ""

    async def find(self, key_id: str, algorithm: str) -> Jwk | None:
        """Return a key, None if the issuer has no such key. Raises IssuerUnavailableError."""
        known = self._known(FRESH_FOR)
        if known is None or known.find(key_id, algorithm) is None:
            await self._read_again()
        return self._usable().find(key_id, algorithm)

    async def count(self) -> int:
        """Return how many keys can be used. Raises IssuerUnavailableError."""
        if self._known(FRESH_FOR) is None:
            await self._read_again()
        return len(self._usable())

    def _known(self, longest: timedelta) -> JwkSet | None:
        """Return the keys if they are not older than that."""
        is_known = self._read_at is not None and self._is_within(self._read_at, longest)
        return self._keys if is_known else None

    def _usable(self) -> JwkSet:
        keys = self._known(LONGEST_USE)
        if keys is None:
            raise IssuerUnavailableError(
                f"{self._issuer}: {self._failure}", retry_after=self._seconds_until_read()
            )
        return keys

    def _seconds_until_read(self) -> int:
        now = self._clock.now()
        wait = (self._tried_at or now) + READ_PAUSE - now
        return max(1, ceil(wait.total_seconds()))

    def _is_within(self, since: datetime, longest: timedelta) -> bool:
        # A clock that was set back must not extend it.
        return timedelta(0) <= self._clock.now() - since < longest

    async def _read_again(self) -> None:
        """Read the keys, unless the last read is too near. Raises nothing."""
        if self._read is None or self._read.done():
            if self._tried_at is not None and self._is_within(self._tried_at, READ_PAUSE):
                return
            self._tried_at = self._clock.now()
            self._read = asyncio.create_task(self._replace_keys())
        # Later callers share the read. It continues if the first caller is cancelled.
        await asyncio.shield(self._read)

    async def _replace_keys(self) -> None:
        try:
            keys = await run_in_time(self._request_keys(), self._limit)
        except TimeoutError:
            self._failure = f"it did not answer within {self._limit.total_seconds():g} s"
        except NetworkSettingsError as error:
            self._failure = str(error)
        except (httpx.HTTPError, httpx.InvalidURL, SSLError, UnicodeError) as error:
            self._failure = reason_of(error)
        except UnusableKeysError as error:
            self._failure = str(error)
        else:
            self._keys, self._read_at = keys, self._clock.now()
            return
        _log.warning("cannot read the keys of the issuer %s: %s", self._issuer, self._failure)

    async def _request_keys(self) -> JwkSet:
        _, url = metadata_urls(self._issuer)
        async with provider_client() as http:
            keys_url = self._keys_url(await _get(http, url), url)
        # The issuer named it: it must not lead into a network where the issuer is not.
        issuer, host = (urlsplit(each).hostname or "" for each in (self._issuer, keys_url))
        hosts = MetadataHosts(
            issuer=issuer,
            hosts=frozenset({host} - {issuer}),
            advice="write its keys into `jwks` of the entry in CALLERS",
        )
        async with provider_client(hosts) as http:
            document = await _get(http, keys_url)
        try:
            return JwkSet.read(document)
        except UnusableKeysError as error:
            raise UnusableKeysError(f"{keys_url}: {error}") from error

    def _keys_url(self, metadata: dict[str, Any] | None, url: str) -> str:
        """Return the `jwks_uri`. Raises UnusableKeysError."""
        if metadata is None:
            raise UnusableKeysError(f"{url}: not a JSON object")
        if metadata.get("issuer") != self._issuer:
            # OpenID Connect Discovery 1.0 §4.3: identical.
            raise UnusableKeysError(f"{url}: its `issuer` is not exactly that of CALLERS")
        keys_url = metadata.get("jwks_uri")
        if not isinstance(keys_url, str) or not is_safe_url(keys_url):
            raise UnusableKeysError(f"{url}: its `jwks_uri` is not an https URL")
        if url.startswith("https:") and not keys_url.startswith("https:"):
            raise UnusableKeysError(f"{url}: its `jwks_uri` is on this machine")
        return keys_url


async def _get(http: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    """Read one document; None for one that is not a JSON object. Raises UnusableKeysError."""
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    async with http.stream("GET", url, headers=headers) as response:
        if response.status_code != httpx.codes.OK:
            # A redirect is not followed: another host would vouch for the keys.
            raise UnusableKeysError(f"{url}: status {response.status_code}")
        return strict_object(await read_body(response, most=MAX_DOCUMENT_BYTES))
