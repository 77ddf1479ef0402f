"""The transport of requests to a provider: direct or by a proxy, chosen for each request."""

import httpcore
import httpx

from adapters.network import MetadataHosts, Network
from adapters.proxies import Proxy, proxy_of
from adapters.tls import tls_context


class ProviderTransport(httpx.AsyncBaseTransport):
    """Sends each request on its own connection.

    A variable that cannot be used affects only the requests that need it. They
    raise NetworkSettingsError.
    """

    def __init__(self, metadata_hosts: MetadataHosts | None = None) -> None:
        self._network = Network(metadata_hosts)
        self._transports: dict[tuple[str, Proxy | None], _PoolTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises NetworkSettingsError, httpx.TransportError."""
        scheme, proxy = request.url.scheme, proxy_of(str(request.url))
        if (scheme, proxy) not in self._transports:
            self._transports[scheme, proxy] = _PoolTransport(
                _create_pool(scheme, proxy, self._network)
            )
        return await self._transports[scheme, proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()


class _PoolTransport(httpx.AsyncHTTPTransport):
    """httpx's transport with a pool of ours: its constructor cannot set the network backend."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool


def _create_pool(
    scheme: str, proxy: Proxy | None, network: Network
) -> httpcore.AsyncConnectionPool:
    """Create a pool without keep-alive.

    A provider may close a reused connection, which looks like a lost response.
    """
    tls = tls_context() if scheme == "https" else None
    if proxy is None:
        return httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=network,
        )
    where = httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target="/")
    if proxy.is_socks:
        return httpcore.AsyncSOCKSProxy(
            proxy_url=where,
            proxy_auth=proxy.auth,
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=network,
        )
    return httpcore.AsyncHTTPProxy(
        proxy_url=where,
        proxy_auth=proxy.auth,
        proxy_ssl_context=tls if proxy.scheme == "https" else None,
        ssl_context=tls,
        max_connections=None,
        max_keepalive_connections=0,
        network_backend=network,
    )
