"""Sends a request to the keeper: no redirect, and the library's proxies and CA variables.

Neither `http.client` nor `urllib.request` is used: they cost a short command more than the rest of
its start, and the latter follows redirects with the key. `urllib.request` finds the proxies, and
is imported where one may be set.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from urllib.parse import SplitResult, unquote, urlsplit

from oauth_callback.errors import KeeperError, NotConfigured, TryLater, printable
from oauth_callback.http11 import HttpAnswer, exchange, open_tunnel
from oauth_callback.settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Transport:
    """Sends requests to one address, each on a connection of its own. Threads may share it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._parts = parts
        self._host = parts.hostname or ""
        self._default_port = _DEFAULT_PORTS[parts.scheme]
        self._port = parts.port or self._default_port
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
        for the whole request; only the look-up of the host's name is not limited by it.

        Raises TryLater, NotConfigured.
        """
        try:
            return self._send(method, self._parts.path + target, headers, body, timeout)
        except (OSError, ValueError) as error:
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
        deadline = time.monotonic() + timeout
        connection, prefix, more_headers = self._connect(deadline)
        with connection:
            sent = {"Host": self._authority(), **headers, **more_headers}
            return exchange(connection, method, prefix + target, sent, body, deadline=deadline)

    def _connect(self, deadline: float) -> tuple[socket.socket, str, dict[str, str]]:
        """Return a connection, the prefix of the target, and headers for a proxy."""
        is_https = self._parts.scheme == "https"
        proxy = _proxy(self._parts.scheme, self._host)
        if proxy is None:
            connection = _open(self._host, self._port, deadline)
            return self._encrypted(connection) if is_https else connection, "", {}
        login = _proxy_login(proxy)
        connection = _open(proxy.hostname or "", proxy.port or self._default_port, deadline)
        if not is_https:
            return connection, f"http://{self._parts.netloc}", login
        try:
            open_tunnel(connection, self._authority(is_full=True), login, deadline=deadline)
        except BaseException:
            connection.close()
            raise
        return self._encrypted(connection), "", {}

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        """Wrap a connection, whose timeout the handshake keeps. It is closed if that fails."""
        try:
            if self._context is None:
                import ssl

                # It reads SSL_CERT_FILE and SSL_CERT_DIR.
                self._context = ssl.create_default_context()
            return self._context.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise

    def _authority(self, *, is_full: bool = False) -> str:
        """Return the host with its port, which may be left out if it is the scheme's."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return host if self._port == self._default_port and not is_full else f"{host}:{self._port}"

    def _explain(self, error: Exception) -> KeeperError:
        """Return the error for the caller, without text that may quote the answer."""
        if type(error).__name__ == "SSLCertVerificationError":
            reason = printable(getattr(error, "verify_message", ""))
            return NotConfigured(
                f"The certificate of {self._host} is not trusted ({reason}). Set SSL_CERT_FILE to "
                "the file of its certificate authority."
            )
        # The text of a `ValueError` may be a part of the request.
        text = (error.strerror or str(error)) if isinstance(error, OSError) else ""
        reason = printable(text or type(error).__name__)
        return TryLater(
            f"Cannot reach the keeper at {self._host} ({reason}). Check the network and "
            "OAUTH_CALLBACK_URL, or try later."
        )


def _open(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to one of the host's addresses. Raises OSError, UnicodeError."""
    return socket.create_connection((host, port), timeout=max(deadline - time.monotonic(), 0.001))


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
