"""The loopback socket of a local server."""

import errno
import socket


def loopback_listener(port: int) -> socket.socket:
    """Listen on 127.0.0.1. Port 0 takes a free one. Raises OSError, which says what to do."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = f"port {port} is in use; PORT=8001 make run serves on another one"
            raise OSError(advice) from error
        raise
    # asyncio sets this on its own sockets only. Without it each response waits for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
