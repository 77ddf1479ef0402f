"""Discovery over HTTP: the metadata that an issuer publishes (RFC 8414, OpenID Connect)."""

import asyncio
import logging
from datetime import timedelta
from ssl import SSLError

import httpx

from adapters.body_members import json_object
from adapters.failure_reasons import reason_of
from adapters.provider_http import USER_AGENT, provider_client, read_body, run_in_time
from adapters.provider_metadata import UnusableMetadataError, read_metadata
from domain.metadata import ServerMetadata, metadata_urls, with_metadata
from domain.provider import Provider
from ports.discovery import DiscoveryError, UnusableIssuerError
from ports.network_settings import NetworkSettingsError

# For both URLs together. A person waits, or a refresh that must finish within its lease.
DISCOVERY_LIMIT = timedelta(seconds=8)
_TEMPORARY = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}

_log = logging.getLogger(__name__)


class HttpxDiscovery:
    """Completes a provider with its issuer's metadata. The first caller starts the only request."""

    def __init__(
        self,
        provider: Provider,
        *,
        issuer: str,
        overrides: ServerMetadata,
        limit: timedelta = DISCOVERY_LIMIT,
        user_agent: str = USER_AGENT,
    ) -> None:
        """Precedence: `overrides`, the issuer's metadata, `provider`."""
        self._provider = provider
        self._issuer = issuer
        self._overrides = overrides
        self._limit = limit
        self._user_agent = user_agent
        self._known: Provider | None = None
        self._search: asyncio.Task[Provider] | None = None

    async def provider(self) -> Provider:
        """Return the provider with its endpoints. Raises DiscoveryError."""
        if self._known is None:
            if self._search is None or self._search.done():
                self._search = asyncio.create_task(self._find())
            # Later callers share the search. It continues if the first caller is cancelled.
            self._known = await asyncio.shield(self._search)
        return self._known

    async def _find(self) -> Provider:
        try:
            found = await run_in_time(self._request_metadata(), self._limit)
        except TimeoutError as error:
            raise DiscoveryError(f"{self._issuer} does not answer") from error
        except NetworkSettingsError as error:
            raise UnusableIssuerError(str(error)) from error
        return with_metadata(with_metadata(self._provider, found), self._overrides)

    async def _request_metadata(self) -> ServerMetadata:
        """Request each URL until one returns usable metadata. Raises DiscoveryError."""
        reasons, may_pass = [], False
        async with provider_client(user_agent=self._user_agent) as http:
            for url in metadata_urls(self._issuer):
                try:
                    return await self._get(http, url)
                except (httpx.HTTPError, httpx.InvalidURL, SSLError, UnicodeError) as error:
                    reasons.append(f"{url}: {reason_of(error)}")
                    may_pass = True
                except UnusableMetadataError as error:
                    reasons.append(f"{url}: {error}")
                    may_pass = may_pass or error.may_pass
        reason = "; ".join(reasons)
        _log.warning("the provider's metadata was not found: %s", reason)
        raise DiscoveryError(reason) if may_pass else UnusableIssuerError(f"ISSUER: {reason}")

    async def _get(self, http: httpx.AsyncClient, url: str) -> ServerMetadata:
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with http.stream("GET", url, headers=headers) as response:
            status = response.status_code
            if status != httpx.codes.OK:
                raise UnusableMetadataError(f"status {status}", may_pass=_may_pass(status))
            members = json_object(await read_body(response))
        return read_metadata(members, self._issuer, self._provider.grant_type)


def _may_pass(status: int) -> bool:
    return httpx.codes.is_server_error(status) or status in _TEMPORARY
