"""How near a host is to this machine: a host that an outsider names must not be inside."""

import asyncio
import socket
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# RFC 6052 §2.1: the last 32 bits are an IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")


class Nearness(IntEnum):
    """The place of a host. A greater value is nearer."""

    ELSEWHERE = 0
    NETWORK = 1
    MACHINE = 2


def nearness_of(host: str) -> Nearness:
    """Return the nearness of an address, in any form that resolvers accept, or of localhost.

    Any other name is ELSEWHERE until it is resolved.
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return Nearness.MACHINE
    address = _address(name)
    return Nearness.ELSEWHERE if address is None else _nearness(address)


async def addresses_of(host: str, port: int) -> list[str]:
    """Resolve a name. Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def nearest_of(addresses: Iterable[str]) -> Nearness:
    """Return the nearness of the nearest address."""
    return max(map(nearness_of, addresses), default=Nearness.ELSEWHERE)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001, 2130706433 and the like.
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _nearness(address: IPv4Address | IPv6Address) -> Nearness:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _nearness(inner)
    if address.is_loopback or address.is_unspecified or address.is_link_local:
        return Nearness.MACHINE
    return Nearness.ELSEWHERE if address.is_global else Nearness.NETWORK
