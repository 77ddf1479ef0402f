"""An HTTP server: an API, metrics, a WebDAV folder, a Kubernetes API and a git repository."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

Accepts = Callable[[str], bool]
_JSON = {
    "/version": '{"major": "1", "minor": "32", "gitVersion": "v1.32.0"}',
    "/parts": '{"parts": 6}',
}
_TEXTS = {"/metrics": "parts 6\n"}
_PROPFIND = """<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"><d:response><d:href>/dav/</d:href>
<d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop>
<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"""


@dataclass
class Site:
    """The guard, the folder of the repository, and the path and status of each request."""

    accepts: Accepts
    folder: Path
    seen: list[tuple[str, int]] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Return the class that a server needs."""
        return type("Handler", (_Handler,), {"site": self})

    def content_of(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of an accepted request."""
        if path in _JSON or path in _TEXTS:
            return 200, (_JSON | _TEXTS)[path].encode()
        if path == "/dav/":
            return 207, _PROPFIND.encode()
        file = self.folder / path.partition("?")[0].lstrip("/")
        return (200, file.read_bytes()) if file.is_file() else (404, b"not found\n")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        token = _token_in(self.headers.get("authorization", ""))
        is_accepted = token != "" and self.site.accepts(token)
        status, body = self.site.content_of(self.path) if is_accepted else (401, b"refused\n")
        self.site.seen.append((self.path, status))
        self.send_response(status)
        if not is_accepted:
            self.send_header("www-authenticate", 'Basic realm="recipes"')
        is_json = self.path in _JSON
        self.send_header("content-type", "application/json" if is_json else "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PROPFIND = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def _token_in(authorization: str) -> str:
    """Return the bearer token, or the password of HTTP Basic."""
    kind, _, value = authorization.partition(" ")
    if kind == "Bearer":
        return value
    return base64.b64decode(value).decode().partition(":")[2] if kind == "Basic" else ""
