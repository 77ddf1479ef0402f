"""The application, and an endpoint for its number of tasks and its memory."""

import asyncio
import json
import resource
from pathlib import Path

from functions.asgi import app as application
from functions.http.messages import Receive, Scope, Send

_PAGE = resource.getpagesize()
_STATM = Path("/proc/self/statm")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at `/figures`, and hand on everything else."""
    if scope.get("path") != "/figures":
        await application(scope, receive, send)
        return
    figures = {"tasks": len(asyncio.all_tasks()), "memory": _memory()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(figures).encode()})


def _memory() -> int:
    """Return the resident memory in bytes; its peak, where nothing else is known."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * _PAGE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
