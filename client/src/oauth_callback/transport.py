"""One HTTP request: no redirect, a bounded answer, the proxies and CA variables of the library.

`http.client` and not `urllib.request`: the latter follows redirects with the key, and costs a short
command 10 ms. It is imported where a proxy may be set.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit

from oauth_callback.errors import KeeperError, NotConfigured, TryLater, printable
from oauth_callback.settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_LARGEST_BODY = 1024 * 1024
_CHUNK = 64 * 1024


class HttpAnswer:
    """A status, the headers in lower case, and the body. The repr does not contain the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"


class Transport:
    """Sends requests to one address, each on a connection of its own. Threads may share it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._parts = parts
        self._host = parts.hostname or ""
        self._port = parts.port
        self._context: ssl.SSLContext | None = None

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> HttpAnswer:
        """Send a request, and return the answer with any status.

        `target` begins with a slash, and is below the path of the address. `timeout` in seconds is
        for the connection, for each wait for data, and for the whole body.

        Raises TryLater, NotConfigured.
        """
        try:
            return self._send(method, self._parts.path + target, headers, body, timeout)
        except (OSError, HTTPException, ValueError) as error:
            # Raised below, so that an exception with a part of the answer is not its context.
            failure = self._explain(error)
        raise failure

    def _send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> HttpAnswer:
        connection, prefix, more_headers = self._connection(timeout)
        deadline = time.monotonic() + timeout
        try:
            connection.request(method, prefix + target, body, {**headers, **more_headers})
            with connection.getresponse() as response:
                content = _read(response, deadline)
                received = {name.lower(): value for name, value in response.getheaders()}
                return HttpAnswer(response.status, received, content)
        finally:
            connection.close()

    def _connection(self, timeout: float) -> tuple[HTTPConnection, str, dict[str, str]]:
        """Return a connection, the prefix of the target, and headers for a proxy."""
        is_https = self._parts.scheme == "https"
        proxy = _proxy(self._parts.scheme, self._host)
        if proxy is None:
            if is_https:
                return self._https(self._host, self._port, timeout), "", {}
            return HTTPConnection(self._host, self._port, timeout=timeout), "", {}
        proxy_host, login = proxy.hostname or "", _proxy_login(proxy)
        if is_https:
            tunnel = self._https(proxy_host, proxy.port, timeout)
            tunnel.set_tunnel(self._host, self._port or 443, headers=login)
            return tunnel, "", {}
        origin = f"{self._parts.scheme}://{self._parts.netloc}"
        return HTTPConnection(proxy_host, proxy.port, timeout=timeout), origin, login

    def _https(self, host: str, port: int | None, timeout: float) -> HTTPSConnection:
        import ssl

        if self._context is None:
            # It reads SSL_CERT_FILE and SSL_CERT_DIR.
            self._context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=timeout, context=self._context)

    def _explain(self, error: Exception) -> KeeperError:
        """Return the error for the caller, without text that may quote the answer."""
        if type(error).__name__ == "SSLCertVerificationError":
            reason = printable(getattr(error, "verify_message", ""))
            return NotConfigured(
                f"The certificate of {self._host} is not trusted ({reason}). Set SSL_CERT_FILE to "
                "the file of its certificate authority."
            )
        # The text of an `HTTPException` may be a part of the answer.
        text = (error.strerror or str(error)) if isinstance(error, OSError) else ""
        reason = printable(text or type(error).__name__)
        return TryLater(
            f"Cannot reach the keeper at {self._host} ({reason}). Check the network and "
            "OAUTH_CALLBACK_URL, or try later."
        )


def _read(response: HTTPResponse, deadline: float) -> bytes:
    """Read the body until a time of `time.monotonic`. Raises OSError, HTTPException."""
    content = bytearray()
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > _LARGEST_BODY:
            raise OSError(errno.EMSGSIZE, "the answer is larger than 1 MiB")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    if response.length:
        raise OSError(errno.ECONNRESET, "the answer is cut off")
    return bytes(content)


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """Return the proxy for a host, as the standard library finds it."""
    # A proxy cannot reach this machine's own loopback, and would read the key.
    if is_loopback(host) or not _may_have_proxies():
        return None
    from urllib.request import getproxies, proxy_bypass

    proxy = getproxies().get(scheme)
    if not proxy or proxy_bypass(host):
        return None
    return _read_proxy(scheme, proxy if "://" in proxy else f"http://{proxy}")


def _read_proxy(scheme: str, proxy: str) -> SplitResult:
    """Read the address of a proxy, which may have a password. Raises NotConfigured."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        # Raised below: the exception quotes the address.
        pass
    raise NotConfigured(
        f"The variable {scheme}_proxy is not the address of an HTTP proxy. Set it to "
        "http://HOST:PORT, or set no_proxy to the keeper's host."
    )


def _may_have_proxies() -> bool:
    """Whether a proxy may be set. macOS and Windows have settings next to the variables."""
    return sys.platform in {"darwin", "win32"} or any(
        name.lower().endswith("_proxy") for name in os.environ
    )


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    from base64 import b64encode

    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(login.encode()).decode()}
