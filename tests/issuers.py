"""An issuer of identity tokens: a server that publishes keys, and the tokens that they sign."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

from tests.client_keys import jwk_of, key_of
from tests.ports.scripted_server import Connection, Script, ScriptedServer, answer, serving

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"
AUDIENCE = "https://keeper.example"
SUBJECT = "repo:acme/shop:ref:refs/heads/main"
KEY_ID = "first"
ALGORITHM = {
    "rsa": "RS256",
    "p256": "ES256",
    "p384": "ES384",
    "p521": "ES512",
    "ed25519": "EdDSA",
}
"""The usual algorithm of each kind of key."""


@dataclass(slots=True)
class Issuer:
    """A running issuer. `pages` are its answers by path; a missing one is 404."""

    server: ScriptedServer
    pages: dict[str, Script] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The issuer, as its tokens name it."""
        return self.server.endpoint.removesuffix("/token")

    @property
    def paths(self) -> list[str]:
        """The paths of all requests so far."""
        return [request.line.split()[1] for request in self.server.requests]

    def publish(self, *keys: Mapping[str, Any]) -> None:
        """Replace the published keys."""
        self.pages[DISCOVERY] = page({"issuer": self.url, "jwks_uri": self.url + KEYS})
        self.pages[KEYS] = page({"keys": keys})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, with changes; None leaves a claim out."""
        now = int(datetime.now(UTC).timestamp())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "exp": now + 300, "nbf": now - 5}
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(
        self,
        kind: str = "rsa",
        *,
        algorithm: str | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Sign a good token, with changes of its header and its claims."""
        key: Any = key_of(kind)
        headers = {"kid": KEY_ID, **(header or {})}
        algorithm = algorithm or ALGORITHM[kind]
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers=headers)


def page(members: object) -> Script:
    """Answer with a JSON document."""
    return answer("200 OK", json.dumps(members).encode())


def part(content: bytes) -> str:
    """Encode a part of a token."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def running_issuer(kind: str = "rsa") -> Iterator[Issuer]:
    """Run an issuer that publishes one key."""

    def script(connection: Connection) -> None:
        issuer.pages.get(issuer.paths[-1], answer("404 Not Found"))(connection)

    with serving(script) as server:
        issuer = Issuer(server)
        issuer.publish(jwk_of(kind, kid=KEY_ID))
        yield issuer
