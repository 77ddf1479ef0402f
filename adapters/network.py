"""Opens connections to providers, and repairs the heads of responses.

It refuses a host that only the metadata names, if it is nearer than its issuer.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore

from adapters.answer_head import AnswerHead
from adapters.failure_reasons import HostTooNearError
from adapters.nearness import Nearness, addresses_of, nearest_of
from domain.metadata import ServerMetadata
from domain.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataHosts:
    """The hosts that only the metadata names. Each must be at least as far away as the issuer.

    `advice`: what to do about one that is nearer.
    """

    issuer: str
    hosts: frozenset[str]
    advice: str = "set TOKEN_ENDPOINT to allow it"

    @classmethod
    def from_metadata(cls, provider: Provider, overrides: ServerMetadata) -> Self | None:
        """Return the hosts of a provider's endpoints. Return None if `overrides` has them all."""
        if overrides.issuer is None:
            return None
        refresh_endpoint = None if provider.wire is None else provider.wire.refresh_endpoint
        settings = (overrides.token_endpoint, overrides.revocation_endpoint, refresh_endpoint)
        issuer, *trusted = map(_host, (overrides.issuer, *settings))
        hosts = {_host(provider.token_endpoint), _host(provider.revocation_endpoint)}
        return cls(issuer=issuer, hosts=frozenset(hosts - {issuer, "", *trusted}))

    async def addresses_of(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to. A later lookup of the name may give others.

        Raises HostTooNearError if the host is nearer than its issuer, OSError, UnicodeError.
        """
        if host not in self.hosts:
            return [host]
        addresses = await addresses_of(host, port)
        near = nearest_of(addresses)
        if near is Nearness.ELSEWHERE or near <= nearest_of(await addresses_of(self.issuer, port)):
            return addresses
        raise HostTooNearError(f"{host} is in this network, and the issuer is not: {self.advice}")


def _host(url: str | None) -> str:
    return urlsplit(url or "").hostname or ""


class RepairingStream(httpcore.AsyncNetworkStream):
    """A connection that repairs the head of a response before the reader sees it."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._head = AnswerHead()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read some bytes. b"" is the end."""
        while True:
            data = await self._stream.read(max_bytes, timeout)
            passed = self._head.feed(data)
            if passed or not data:
                return passed

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write the whole buffer."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS. The response inside it has its own head."""
        return RepairingStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own type
        """Return information about the underlying connection."""
        return self._stream.get_extra_info(info)


class Network(httpcore.AsyncNetworkBackend):
    """The backend that opens connections."""

    def __init__(self, metadata_hosts: MetadataHosts | None = None) -> None:
        self._metadata_hosts = metadata_hosts
        self._anyio = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, unless the host is too near."""
        addresses = [host]
        if self._metadata_hosts is not None:
            try:
                async with asyncio.timeout(timeout):
                    addresses = await self._metadata_hosts.addresses_of(host, port)
            except TimeoutError as error:
                raise httpcore.ConnectTimeout from error
            except (HostTooNearError, OSError) as error:
                raise httpcore.ConnectError(str(error)) from error
        per_address = None if timeout is None else timeout / len(addresses)
        *others, last = addresses
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._connect(
                    address, port, per_address, local_address, socket_options
                )
        return await self._connect(last, port, per_address, local_address, socket_options)

    async def _connect(self, *where: Any) -> RepairingStream:  # noqa: ANN401 - as it was called
        return RepairingStream(await self._anyio.connect_tcp(*where))

    async def sleep(self, seconds: float) -> None:
        """Wait before a retry."""
        await self._anyio.sleep(seconds)
