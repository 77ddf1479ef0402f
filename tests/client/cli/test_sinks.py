"""Token files: what they contain, how they are replaced, and how they stay fresh."""

import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from oauth_callback.cli.exits import CommandFailed
from oauth_callback.cli.sinks.files import Sink
from oauth_callback.cli.sinks.keeping import FreshFiles
from oauth_callback.cli.sinks.kinds import KINDS
from oauth_callback.testing import FakeKeeper
from oauth_callback.tokens import Token, TokenAnswer
from tests.client.cli.rig import Cli
from tests.client.rig import ManualClock
from tests.system.waiting import wait_until

TOKEN = Token("a-token", token_type="bearer", expires_at=1796040000.5)
ANSWER = TokenAnswer(TOKEN, expires_in=1799.0, ask_again_in=None)
ENDLESS = TokenAnswer(Token("a-token"), expires_in=None, ask_again_in=None)


@pytest.mark.parametrize(
    ("kind", "answer", "members"),
    [
        pytest.param(
            "digikey-api",
            ANSWER,
            {
                "access_token": "a-token",
                "token_type": "Bearer",
                "expires_in": 1799,
                "expires": 1796040000,
            },
            id="digikey-api",
        ),
        pytest.param(
            "kicost",
            ENDLESS,
            {
                "access_token": "a-token",
                "token_type": "Bearer",
                "expires_in": 4102444800,
                "expires": 4102444800,
            },
            id="kicost, without an expiry",
        ),
        pytest.param(
            "rclone",
            ANSWER,
            {
                "access_token": "a-token",
                "token_type": "bearer",
                "expiry": "2026-11-30T12:00:00Z",
            },
            id="rclone",
        ),
        pytest.param(
            "rclone",
            ENDLESS,
            {"access_token": "a-token", "token_type": "Bearer"},
            id="rclone, without an expiry",
        ),
    ],
)
def test_a_file_has_what_its_program_reads(
    kind: str, answer: TokenAnswer, members: dict[str, object]
) -> None:
    assert json.loads(KINDS[kind](answer)) == members


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_its_owners_alone(cli: Cli, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o644)
    ended = cli("sink", kind, "token", "--connection", "a")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert "a-token-1" in file.read_text()
    assert "refresh" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # The file is another one, and no temporary file is left.
    assert list(tmp_path.iterdir()) == [file]


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize(
    ("make", "path", "reason"),
    [
        pytest.param(_folder, "token", "is a folder", id="folder"),
        pytest.param(_link, "token", "is a symbolic link", id="symbolic link"),
        pytest.param(os.mkfifo, "token", "is not a regular file", id="pipe"),
        pytest.param(None, "token/", "is a folder", id="a name of a folder"),
        pytest.param(None, "none/token", "does not exist", id="in no folder"),
        pytest.param(Path.touch, "token/token", "Not a directory", id="below a file"),
    ],
)
@pytest.mark.parametrize("command", ["sink", "exec"])
def test_a_path_that_cannot_be_a_token_file(
    cli: Cli,
    tmp_path: Path,
    *,
    command: str,
    make: Callable[[Path], None] | None,
    path: str,
    reason: str,
) -> None:
    if make is not None:
        make(tmp_path / "token")
    before = sorted(tmp_path.rglob("*"))
    exec_ = ("exec", "--env=A", f"--sink=plain:{path}", "--", "touch", "ran")
    ended = cli(*(exec_ if command == "exec" else ("sink", "plain", path)))
    assert (ended.code, ended.out) == (78, "")
    assert reason in ended.err
    assert cli.keeper.requests == []
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_token_the_file_stays(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    cli.keeper.require_login()
    assert cli("sink", "plain", "token").code == 77
    assert (tmp_path / "token").read_text() == "old"


def test_a_failed_replacement_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandFailed, match="token: No space left on device"):
        Sink("plain", str(tmp_path / "token")).write(ANSWER)
    assert [each.name for each in tmp_path.iterdir()] == ["token"]
    assert (tmp_path / "token").read_text() == "old"


class _Fresh:
    """Files with a clock that the test moves."""

    def __init__(self, keeper: FakeKeeper, clock: ManualClock, path: Path) -> None:
        self.keeper = keeper
        self.clock = clock
        self.path = path
        client = keeper.keeper()
        sink = Sink("plain", str(path))
        self.files = FreshFiles(client, None, [sink], min_ttl=60, clock=clock)
        self.files.start(client.token(min_ttl=60))

    def wait(self, seconds: float) -> str:
        """Let time pass, and renew when it is due. Return what the file has then."""
        self.clock.now += seconds
        while self.clock.now >= self.files.next_at:
            self.files.renew()
        return self.path.read_text().strip()


def test_a_file_is_replaced_before_its_token_expires(tmp_path: Path) -> None:
    clock = ManualClock()
    with FakeKeeper(clock=clock, lifetime=600) as keeper:
        fresh = _Fresh(keeper, clock, tmp_path / "token")
        for second in range(0, 3 * 600, 5):
            token = fresh.wait(5)
            connection = keeper.connection()
            assert token == connection.access_token, second
        # One request a life, and not one each five seconds.
        assert len(keeper.requests) <= 5


def test_the_old_token_stays_while_there_is_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    with FakeKeeper(clock=clock, lifetime=600) as keeper:
        fresh = _Fresh(keeper, clock, tmp_path / "token")
        keeper.require_login()
        assert [fresh.wait(300) for _ in range(4)] == ["token-1"] * 4
        # Reported once.
        assert capsys.readouterr().err.count("The files keep the old token.") == 1
        assert len(keeper.requests) < 30
        keeper.log_in()
        assert fresh.wait(300) == "token-2"
        assert capsys.readouterr().err.endswith("The files are fresh again.\n")


def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    clock = ManualClock()
    with FakeKeeper(clock=clock, lifetime=600) as keeper:
        fresh = _Fresh(keeper, clock, tmp_path / "token")
        fresh.files.close()
        assert fresh.wait(600) == "token-1"
        assert keeper.connection().access_token == "token-2"


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGTERM, 0, id="TERM"), pytest.param(signal.SIGINT, 130, id="INT")],
)
def test_a_watched_file_is_kept_fresh_until_a_signal(
    cli: Cli, tmp_path: Path, number: int, code: int
) -> None:
    cli.keeper.connection().lifetime = 2
    process = cli.process("sink", "plain", "token", "--watch", "--min-ttl=1")
    file = tmp_path / "token"
    # It has been replaced in its place.
    wait_until(lambda: file.exists() and file.read_text() not in {"token-1\n", ""})
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    assert err == "oauth-callback: token is written, and kept fresh.\n"
    assert list(tmp_path.iterdir()) == [file]
