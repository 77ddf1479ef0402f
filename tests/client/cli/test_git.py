"""`oauth-callback git-credential`: the real git clones, and reports a refused token."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from oauth_callback.testing import FakeKeeper
from tests.client.cli.rig import SOURCES, Cli


class _Remote(SimpleHTTPRequestHandler):
    """Serves files to requests with the right token."""

    keeper: FakeKeeper
    refused: str | None = None
    users: set[str]

    def do_GET(self) -> None:
        """Serve a file, or ask for credentials."""
        user, _, token = _basic(self.headers.get("authorization", "")).partition(":")
        if token and token == self.keeper.connection("git").access_token != self.refused:
            self.users.add(user)
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("content-length", "0")
        self.end_headers()
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def _basic(header: str) -> str:
    return base64.b64decode(header.removeprefix("Basic ")).decode()


class Rig:
    """A repository behind a login, and git with the helper as its only source of passwords."""

    def __init__(self, cli: Cli, folder: Path, server: ThreadingHTTPServer) -> None:
        self.folder = folder
        self.host = f"127.0.0.1:{server.server_address[1]}"
        command = f"!{sys.executable} -m oauth_callback.cli git-credential --connection git"
        self.environ = {
            **cli.environ,
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PYTHONPATH": str(SOURCES),
        }
        self.git("config", "--global", f"credential.http://{self.host}.helper", command)

    def git(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run git, which may fail."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def clone(self, name: str, user: str = "") -> "subprocess.CompletedProcess[str]":
        """Clone the repository into a folder of this name."""
        return self.git("clone", "-q", f"http://{user}{self.host}/repository.git", name)


@pytest.fixture
def rig(cli: Cli, tmp_path: Path) -> Iterator[tuple[Rig, type[_Remote]]]:
    """Serve a repository to the holders of the token of the connection `git`."""

    class Remote(_Remote):
        keeper = cli.keeper
        users: set[str] = set()  # noqa: RUF012 - of this test only

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Remote, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        rig = Rig(cli, tmp_path, server)
        rig.git("init", "-q", "--bare", "repository.git")
        rig.git("--git-dir=repository.git", "update-server-info")
        yield rig, Remote
        server.shutdown()


def test_git_clones_with_the_token(rig: tuple[Rig, type[_Remote]]) -> None:
    it, remote = rig
    assert (it.clone("a").returncode, it.clone("b", "me@").returncode) == (0, 0)
    assert remote.users == {"oauth2", "me"}


def test_a_refused_token_is_replaced_for_the_next_command(
    cli: Cli, rig: tuple[Rig, type[_Remote]]
) -> None:
    it, remote = rig
    remote.refused = "git-token-1"
    assert it.clone("a").returncode != 0
    assert cli.keeper.requests[-1].params == {"connection": "git", "refused": "1"}
    assert it.clone("b").returncode == 0


def test_without_a_token_git_fails_with_the_reason(
    cli: Cli, rig: tuple[Rig, type[_Remote]]
) -> None:
    it, _ = rig
    cli.keeper.require_login(connection="git")
    # Its helper ends it: no other is asked, and no person.
    it.environ["GIT_TERMINAL_PROMPT"] = "1"
    failed = it.clone("a")
    assert failed.returncode != 0
    assert "Run `oauth-callback login git`" in failed.stderr
    assert "to quit" in failed.stderr
    assert not (it.folder / "a").exists()


REQUEST = "protocol=https\nhost=git.example\n"


@pytest.mark.parametrize(
    ("options", "request_", "lines"),
    [
        pytest.param((), REQUEST, ["username=oauth2", "password=token-1"], id="password"),
        pytest.param(
            ("--username=me",),
            REQUEST + "username=other\n",
            ["username=me", "password=token-1"],
            id="another name",
        ),
        pytest.param(
            ("--bearer",),
            "capability[]=authtype\ncapability[]=state\n" + REQUEST,
            ["capability[]=authtype", "authtype=Bearer", "credential=token-1", "ephemeral=1"],
            id="Bearer",
        ),
        pytest.param(
            ("--bearer",),
            REQUEST,
            ["username=oauth2", "password=token-1"],
            id="Bearer with an older git",
        ),
    ],
)
def test_the_answer_to_git(
    cli: Cli, options: tuple[str, ...], request_: str, lines: list[str]
) -> None:
    ended = cli("git-credential", *options, "get", stdin=f"{request_}\n")
    *answer, expiry = ended.out.splitlines()
    assert answer == lines
    assert expiry.startswith("password_expiry_utc=")


def test_a_token_is_not_sent_unencrypted(cli: Cli) -> None:
    ended = cli("git-credential", "get", stdin="protocol=http\nhost=git.example:80\n\n")
    assert (ended.code, ended.out) == (1, "quit=1\n")
    assert "unencrypted" in ended.err
    assert cli.keeper.requests == []


@pytest.mark.parametrize(
    ("operation", "sent", "asked"),
    [
        pytest.param("store", "password=token-1\n", 0, id="nothing is stored"),
        pytest.param("later", "password=token-1\n", 0, id="an operation of later versions"),
        pytest.param("erase", "", 0, id="no password"),
        pytest.param("erase", "password=another\n", 1, id="not the current token"),
        pytest.param("erase", "password=token-1\n", 2, id="the current token"),
        pytest.param("erase", "credential=token-1\n", 2, id="the current token as Bearer"),
    ],
)
def test_what_git_reports(cli: Cli, operation: str, sent: str, asked: int) -> None:
    cli.keeper.replace()
    ended = cli("git-credential", operation, stdin=f"{REQUEST}{sent}\n")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert len(cli.keeper.requests) == asked
    refused = [seen.params.get("refused") for seen in cli.keeper.requests]
    assert refused == [None, "1"][:asked]


def test_an_older_deployment_replaces_a_refused_token_too() -> None:
    with FakeKeeper(is_older=True) as keeper:
        keeper.replace()
        ended = subprocess.run(
            [sys.executable, "-m", "oauth_callback.cli", "git-credential", "erase"],
            input=f"{REQUEST}password=token-1\n",
            text=True,
            env={**os.environ, **keeper.environ, "PYTHONPATH": str(SOURCES)},
            check=True,
        )
        assert ended.returncode == 0
        assert [seen.path for seen in keeper.requests] == ["/api/token", "/api/refresh"]
