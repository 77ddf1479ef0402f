"""Real authorization servers for the system tests: started, watched, spoiled and stopped."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import MappingProxyType
from typing import IO
from urllib.parse import urlsplit

from tests.needs import cannot_run, set_up
from tests.patience import PATIENCE
from tests.system.browser import PASSWORD, USERNAME

_REPOSITORY = Path(__file__).parents[2]
_OIDC_PROVIDER = Path(__file__).with_name("oidc_provider")

_CLIENT = {
    "client_id": "token-keeper",
    # `%`, `+` and `:` are what form-urlencoding before Basic (RFC 6749 §2.3.1) is for.
    "client_secret": "not-a-real-secret%+:x",
}
_STOP_LIMIT = 5.0
_FAULT = re.compile(r"drop-answer|drop-request|refuse-503|(delay|late-commit):\d+(\.\d+)?")


class PeerDidNotStartError(Exception):
    """A server ended, or said nothing in time; the message is what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The token requests of a peer since it started or since `Peer.reset_stats`.

    A request whose client got no answer counts by what the server did with it: `granted` once its
    tokens are committed, neither `granted` nor `refused` if it was dropped before.
    """

    arrived: Counter[str]
    """By grant type."""
    granted: int
    refused: int
    in_flight: int
    """Being held or processed now, whether or not the client is still there."""
    abandoned: int = field(default=0, compare=False)
    """Those that are over, and whose client had hung up by itself before there was an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A running authorization server, and the one client that is registered there."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    protected_endpoint: str
    """Answers 200 to a valid access token and 401 to others."""
    introspection_endpoint: str = ""
    """RFC 7662."""
    client_id: str
    client_secret: str = field(repr=False)
    auth_method: str
    scope: str
    authorization_params: Mapping[str, str]
    """More parameters of an authorization request, which a refresh token needs here."""
    client_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More variables of the deployment, for a client without a secret."""

    def stats(self) -> Stats:
        """Return the counts, which include every request that has been answered by now."""
        counts = json.loads(_control(self.issuer, "GET", "stats"))
        return Stats(**{**counts, "arrived": Counter(counts["arrived"])})

    def reset_stats(self) -> None:
        """Count from zero. Requests in flight count when they are done."""
        _control(self.issuer, "DELETE", "stats")

    def plan_faults(self, *faults: str) -> None:
        """Queue what shall happen to the next token requests without a code.

        ``drop-answer``: commit, then close the connection. ``drop-request``: close it at once, do
        nothing. ``refuse-503``: do nothing, answer 503 with Retry-After. ``delay:SECONDS``: process
        after a delay. ``late-commit:SECONDS``: close the connection at once, commit after a delay.
        """
        if unknown := [fault for fault in faults if not _FAULT.fullmatch(fault)]:
            raise ValueError(f"no such fault: {unknown}")
        _control(self.issuer, "POST", "faults", json.dumps(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A client to register at django-oauth-toolkit, for logins or for its own credentials."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    own: bool = False

    def registration(self) -> Mapping[str, str]:
        """Return it in the server's words."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "redirect_uri": self.redirect_uri,
            "grant": "client-credentials" if self.own else "authorization-code",
        }


class RefreshPolicy(Enum):
    """A policy of django-oauth-toolkit for used refresh tokens."""

    NO_ROTATION = auto()
    """It stays good."""
    ROTATION = auto()
    """It is replaced; a replay is refused and does no harm."""
    ROTATION_WITH_GRACE = auto()
    """It is replaced; a replay within the grace period gets the same new tokens again."""
    REUSE_PROTECTION = auto()
    """It is replaced; a replay is refused and kills all that came of the login."""


def require_oidc_provider() -> None:
    """Install oidc-provider, if need be. Skips the test where that cannot be; in CI, fails it."""
    if not shutil.which("node"):
        cannot_run("the oidc-provider peer needs node")
    set_up("tests/system/oidc_provider/node_modules/.stamp")
    if not (_OIDC_PROVIDER / "node_modules" / "oidc-provider").is_dir():
        cannot_run(f"the oidc-provider peer is not installed: npm ci --prefix {_OIDC_PROVIDER}")


@contextmanager
def oidc_provider(
    *,
    redirect_uri: str,
    access_lifetime: int = 1800,
    auth_method: str = "client_secret_post",
    registered: Mapping[str, object] = MappingProxyType({}),
    client_variables: Mapping[str, str] = MappingProxyType({}),
    own: bool = False,
) -> Iterator[Peer]:
    """Run npm's oidc-provider: reuse of a refresh token kills all that came of the login.

    `registered` is more of the client's registration (RFC 7591 §2). `client_variables` are those
    of a client without a secret, which it then does not have. With `own`, the client may use its
    own credentials only.

    Skips the test where it is not installed. Raises PeerDidNotStartError.
    """
    require_oidc_provider()
    client = {**_CLIENT, "client_secret": ""} if client_variables else _CLIENT
    config = {
        **client,
        "registered": {**registered},
        "redirect_uri": redirect_uri,
        "access_lifetime": access_lifetime,
        "refresh_lifetime": 7776000,
        "auth_method": auth_method,
        "own": own,
    }
    with _running(["node", str(_OIDC_PROVIDER / "server.mjs")], config) as issuer:
        yield Peer(
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            client_variables=client_variables,
            issuer=issuer,
            authorization_endpoint=f"{issuer}/auth",
            token_endpoint=f"{issuer}/token",
            revocation_endpoint=f"{issuer}/token/revocation",
            introspection_endpoint=f"{issuer}/token/introspection",
            protected_endpoint=f"{issuer}/me",
            auth_method=auth_method,
            scope="read" if own else "openid offline_access",
            authorization_params={"prompt": "consent"},
        )


@contextmanager
def django_oauth_toolkit(
    *,
    redirect_uri: str,
    policy: RefreshPolicy,
    grace: int = 120,
    own: bool = False,
    others: Sequence[Application] = (),
) -> Iterator[Peer]:
    """Run django-oauth-toolkit under one of its refresh policies; `grace` is in seconds.

    With `own`, the client may use its own credentials only. `others` are further clients.

    It takes client_secret_basic as well as the client_secret_post it is declared with. Raises
    PeerDidNotStartError.
    """
    command = [sys.executable, "-m", "tests.system.django_peer.server"]
    with TemporaryDirectory() as directory:
        first = Application(**_CLIENT, redirect_uri=redirect_uri, own=own)
        config = {
            "username": USERNAME,
            "password": PASSWORD,
            "applications": [one.registration() for one in (first, *others)],
            "access_lifetime": 1800,
            "database": str(Path(directory) / "peer.sqlite3"),
            "refresh": _refresh_settings(policy, grace),
        }
        with _running(command, config) as issuer:
            yield Peer(
                client_id=_CLIENT["client_id"],
                client_secret=_CLIENT["client_secret"],
                issuer=issuer,
                authorization_endpoint=f"{issuer}/o/authorize/",
                token_endpoint=f"{issuer}/o/token/",
                revocation_endpoint=f"{issuer}/o/revoke_token/",
                introspection_endpoint=f"{issuer}/o/introspect/",
                protected_endpoint=f"{issuer}/me/",
                auth_method="client_secret_post",
                scope="read",
                authorization_params={},
            )


def _refresh_settings(policy: RefreshPolicy, grace: int) -> dict[str, object]:
    with_grace = policy is RefreshPolicy.ROTATION_WITH_GRACE
    return {
        "ROTATE_REFRESH_TOKEN": policy is not RefreshPolicy.NO_ROTATION,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": grace if with_grace else 0,
        "REFRESH_TOKEN_REUSE_PROTECTION": policy is RefreshPolicy.REUSE_PROTECTION,
    }


@contextmanager
def _running(command: Sequence[str], config: Mapping[str, object]) -> Iterator[str]:
    """Run a server on a socket that listens before it starts: no port to guess or to lose."""
    with TemporaryFile() as output, socket.create_server(("127.0.0.1", 0)) as listener:
        issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = {**config, "issuer": issuer, "listener": listener.fileno()}
        process = subprocess.Popen(
            [*command, json.dumps(settings)],
            cwd=_REPOSITORY,
            pass_fds=[listener.fileno()],
            # Never written to; it closes with this process, and then the server ends too.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # Now the server alone holds the socket: if it ends, connections fail at once.
        listener.close()
        try:
            _wait_for_an_answer(issuer, output)
            yield issuer
        finally:
            _stop(process)


def _wait_for_an_answer(issuer: str, output: IO[bytes]) -> None:
    try:
        _control(issuer, "GET", "stats")
    except (OSError, HTTPException) as error:
        output.seek(0)
        printed = output.read().decode(errors="replace")
        raise PeerDidNotStartError(f"{error!r}; it printed:\n{printed}") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _control(issuer: str, method: str, path: str, body: str | None = None) -> bytes:
    limit = PATIENCE.total_seconds()
    with closing(HTTPConnection(urlsplit(issuer).netloc, timeout=limit)) as connection:
        connection.request(method, f"/_control/{path}", body)
        response = connection.getresponse()
        answer = response.read()
    if response.status not in {200, 204}:
        raise RuntimeError(f"{method} {path}: {response.status} {answer!r}")
    return answer
