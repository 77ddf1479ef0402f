"""The choice of a proxy for a request, by the variables that curl and others read."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from os import environ
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies

from domain.metadata import is_loopback
from ports.network_settings import NetworkSettingsError

_SOCKS = frozenset({"socks5", "socks5h"})
_SCHEMES = frozenset({"http", "https"}) | _SOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy: its address and credentials."""

    scheme: str
    host: str
    port: int | None
    auth: tuple[str, str] | None = field(repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether the proxy speaks SOCKS, not HTTP."""
        return self.scheme in _SOCKS


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy for a URL, or None for a direct connection. Raises NetworkSettingsError.

    http URLs lead to this machine only, and need no proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or is_loopback(host):
        return None
    # Includes the system's proxies, if no variable names one.
    found = getproxies()
    kind = next((kind for kind in ("https", "all") if found.get(kind)), None)
    if kind is None or _is_excluded(host, parts.port or 443, found.get("no", "")):
        return None
    return _proxy(_variable(kind), found[kind])


def _variable(kind: str) -> str:
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if environ.get(name)), "the system's proxy")


def _proxy(variable: str, text: str) -> Proxy:
    """Read a proxy's address. Errors do not quote it: it may contain a password."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:
        raise NetworkSettingsError(f"{variable} is not the address of a proxy") from None
    if parts.scheme not in _SCHEMES or not host:
        known = ", ".join(sorted(_SCHEMES))
        raise NetworkSettingsError(
            f"{variable} must be the URL of a proxy, with a host and one of these schemes: {known}"
        )
    if parts.scheme in _SOCKS and find_spec("socksio") is None:
        raise NetworkSettingsError(f"{variable} needs socksio: pip install 'httpx[socks]'")
    return Proxy(scheme=parts.scheme, host=host, port=port, auth=_credentials(parts))


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if not parts.username and not parts.password:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def _is_excluded(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host. Its invalid parts are ignored."""
    return any(_matches(part.lower(), host, port) for part in no_proxy.replace(",", " ").split())


def _matches(part: str, host: str, port: int) -> bool:
    if part == "*":
        return True
    part = part.partition("://")[2] or part
    name, colon, number = part.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        part = name
    part = part.replace("[", "").replace("]", "")
    try:
        return ip_address(host) in ip_network(part, strict=False)
    except ValueError:
        name = part.removeprefix("*").removeprefix(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
