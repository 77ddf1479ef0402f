"""An API that accepts some tokens only, with the few endpoints that the libraries call."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from oauth_callback.testing.server import FakeAnswer, LoopbackServer, SeenRequest

_LISTS = {"/v1/models": {"object": "list", "data": [], "has_more": False}}
_USER = {"id": 1, "login": "somebody", "username": "somebody", "url": "/user"}
_MCP = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "guarded", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "search", "inputSchema": {"type": "object"}}]},
}


@dataclass
class GuardedApi:
    """Answers 401 to every token that is not in `accepted`."""

    accepted: set[str]
    url: str = ""
    seen: list[tuple[str, int]] = field(default_factory=list)
    """The token and the status of each request."""
    redirect: str | None = None
    """The address that every request is redirected to."""
    bodies: list[bytes] = field(default_factory=list)

    def answer(self, seen: SeenRequest) -> FakeAnswer:
        """Answer a request."""
        if self.redirect is not None:
            return FakeAnswer(302, {}, {"location": self.redirect})
        kind, _, token = seen.headers.get("authorization", "").partition(" ")
        status = 200 if kind == "Bearer" and token in self.accepted else 401
        self.seen.append((token, status))
        self.bodies.append(seen.body)
        if status != 200:
            return FakeAnswer(401, {"message": "expired"}, {"www-authenticate": "Bearer"})
        return _mcp(seen) if seen.path == "/mcp" else FakeAnswer(200, _members(seen.path))


def _members(path: str) -> dict[str, Any]:
    return _LISTS.get(path, _USER)


def _mcp(seen: SeenRequest) -> FakeAnswer:
    """Answer as a server of the Model Context Protocol, over streamable HTTP."""
    if seen.method != "POST":
        return FakeAnswer(405, {})
    message = json.loads(seen.body)
    if "id" not in message:
        return FakeAnswer(202, {})
    result = _MCP.get(message["method"], {})
    return FakeAnswer(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})


@contextmanager
def guarded_api(*accepted: str) -> Iterator[GuardedApi]:
    """Run the API."""
    api = GuardedApi(set(accepted))
    with LoopbackServer(api.answer) as server:
        api.url = server.url
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield api
        server.shutdown()
