# ruff: noqa: INP001 - Python imports it by its name alone
"""Lets a tool's Python find Digi-Key on this machine, as a hosts file and a trust store would.

The tools have its address built in, and their HTTP client ignores proxies and CA variables. Nothing
of a tool is changed: names are looked up, and certificates trusted, outside of it.
"""

import os
import socket
from typing import Any

import certifi

_NAMES = ("api.digikey.com", "sandbox-api.digikey.com")
_PORT = int(os.environ["DIGIKEY_FRONT_PORT"])
_CA = os.environ["DIGIKEY_FRONT_CA"]
_look_up = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *options: Any, **more: Any) -> Any:
    if host in _NAMES:
        return _look_up("127.0.0.1", _PORT, *options, **more)
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise socket.gaierror(f"a test must not reach {host}")
    return _look_up(host, port, *options, **more)


socket.getaddrinfo = _getaddrinfo
certifi.where = lambda: _CA
