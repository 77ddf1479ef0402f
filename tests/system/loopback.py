"""This machine as the only host: its free ports, and one client for what listens there."""

import atexit
import os
import socket
import ssl
from itertools import cycle
from random import SystemRandom

import httpx

from tests.patience import PATIENCE

# Below what systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere), one of
# which could otherwise take the port of a server that is stopped for a while.
_PORTS = range(20_000, 32_000)
# Tests that run in parallel have their own each, for the same reason.
_PARALLEL = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OURS = _PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) :: _PARALLEL]

# In turns, because the last caller may not listen at its port yet.
_TURNS = cycle(SystemRandom().sample(_OURS, len(_OURS)))

# One client for all. A default one loads every certificate authority.
http = httpx.Client(
    trust_env=False,
    verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    timeout=PATIENCE.total_seconds(),
)
# Else a kept connection is reported as unclosed at the end.
atexit.register(http.close)


def free_port() -> int:
    """Return a loopback port without a listener, outside the range of outgoing connections."""
    while True:
        port = next(_TURNS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
