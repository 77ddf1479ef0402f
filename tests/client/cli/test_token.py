"""`oauth-callback token`, and what all commands share: settings, exit codes, their output."""

import json
import signal
import sys
from pathlib import Path

import pytest

from oauth_callback.cli.exits import CommandFailed, code_of
from oauth_callback.cli.table import COMMANDS
from oauth_callback.testing import FakeKeeper
from tests.client.cli.rig import Cli
from tests.system.waiting import wait_until

SECRET = "not-a-real-token-of-anything"


@pytest.mark.parametrize(
    ("format_", "token", "printed"),
    [
        pytest.param("plain", "a.b-c", "a.b-c\n", id="plain"),
        pytest.param("header", "a.b-c", "Authorization: Bearer a.b-c\n", id="header"),
        pytest.param("curl", 'a"b\\c', 'oauth2-bearer = "a\\"b\\\\c"\n', id="curl, quoted"),
        pytest.param("env", "a.b-c", "ACCESS_TOKEN=a.b-c\n", id="env"),
        pytest.param("env", "a$(b)'c", "ACCESS_TOKEN='a$(b)'\"'\"'c'\n", id="env, quoted"),
    ],
)
def test_a_token_alone_is_printed(cli: Cli, format_: str, token: str, printed: str) -> None:
    cli.keeper.replace(token)
    ended = cli("token", "--format", format_)
    assert (ended.code, ended.out, ended.err) == (0, printed, "")


def test_json_has_both_expiries(cli: Cli) -> None:
    members = json.loads(cli("token", "a", "--format=json", "--min-ttl=5").out)
    assert members["access_token"] == "a-token-1"
    assert members["expires_at"].endswith("Z")
    assert members["generation"] == 1
    assert 0 < members["expires_in"] <= 1800
    assert isinstance(members["expires_at_unix"], int)
    assert cli.keeper.requests[-1].params == {"connection": "a", "min_ttl": "5"}


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        pytest.param("provider-unavailable", 75, id="provider away"),
        pytest.param("too-many-failures", 75, id="limited"),
        pytest.param("authorization-required", 77, id="login needed"),
        pytest.param("api-key-invalid", 78, id="key refused"),
        pytest.param("key-not-allowed", 78, id="key limited"),
        pytest.param("not-configured", 78, id="deployment misconfigured"),
        pytest.param("connection-in-use", 1, id="a refusal"),
    ],
)
def test_a_problem_has_an_exit_code_and_no_output(cli: Cli, problem: str, code: int) -> None:
    cli.keeper.fail(problem, detail="The reason.")
    ended = cli("token", "--wait=0")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("oauth-callback: The reason.")


def test_a_deployment_that_is_away_is_asked_again(cli: Cli) -> None:
    cli.keeper.fail(times=1, retry_after=1)
    assert cli("token").out == "token-1\n"
    assert len(cli.keeper.requests) == 2


def test_no_log_has_the_login_link(cli: Cli) -> None:
    cli.keeper.require_login()
    ended = cli("token")
    assert ended.code == 77
    assert "Run `oauth-callback login`" in ended.err
    assert "link" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("token", "--format", "xml"), id="unknown format"),
        pytest.param(("token", "--min-ttl", "-1"), id="negative"),
        pytest.param(("token", "a", SECRET), id="one argument too many"),
        pytest.param(("token", f"--key={SECRET}"), id="a secret as an option"),
        pytest.param(("adopt", SECRET), id="a refresh token as an argument"),
        pytest.param((SECRET,), id="unknown command"),
        pytest.param((), id="no command"),
        pytest.param(("sink", "xml", "file"), id="unknown kind"),
        pytest.param(("exec", "--env", "A", "true"), id="exec without --"),
        pytest.param(("exec", "--", "true"), id="exec of nothing"),
        pytest.param(("exec", "--env", "1=a", "--", "true"), id="not a variable"),
        pytest.param(("exec", "--env", "A=", "--", "true"), id="an empty connection"),
        pytest.param(("exec", "--sink", "plain", "--", "true"), id="a sink without a path"),
        pytest.param(("exec", "--sink", "xml:file", "--", "true"), id="a sink of no kind"),
        pytest.param(("headers", "get"), id="no request of Bazel"),
    ],
)
def test_wrong_arguments_are_refused_without_a_request(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "oauth-callback" in ended.err
    assert SECRET not in ended.err
    assert cli.keeper.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_key_and_its_file_are_a_contradiction(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_CALLBACK_KEY_FILE", "/run/secrets/key")
    ended = cli("token")
    assert (ended.code, ended.out) == (78, "")
    assert "one of the two" in ended.err


def test_profiles_have_to_be_private(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config/oauth-callback"
    folder.mkdir(parents=True)
    profiles = folder / "profiles.json"
    profiles.write_text(json.dumps({"work": {"url": cli.keeper.url, "key": cli.keeper.key}}))
    profiles.chmod(0o644)
    monkeypatch.delenv("OAUTH_CALLBACK_URL")
    monkeypatch.delenv("OAUTH_CALLBACK_KEY")
    refused = cli("token", "--profile", "work")
    assert (refused.code, refused.out) == (78, "")
    assert "chmod 600" in refused.err
    assert cli.keeper.key not in refused.err
    profiles.chmod(0o600)
    # Behind the command and in front of it.
    assert cli("token", "--profile=work").out == "token-1\n"
    assert cli("--profile", "work", "token").out == "token-1\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(cli: Cli, command: str) -> None:
    ended = cli(command, "--help")
    assert ended.code == 0
    assert f"usage: oauth-callback {command}" in ended.out


def test_the_table_is_the_help(cli: Cli) -> None:
    out = cli("--help").out
    assert all(f"  {name} " in out for name in COMMANDS)
    assert cli("--version").out.startswith("oauth-callback ")


def test_a_reader_that_is_gone_is_no_error(cli: Cli) -> None:
    with cli.keeper.hold():
        process = cli.process("token")
        wait_until(lambda: len(cli.keeper.requests) == 1)
        assert process.stdout is not None
        process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 141
    process.stderr.close()


def test_a_full_disk_is_an_error(cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        process = cli.process("token", stdout=full)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr == "oauth-callback: Cannot write the output: No space left on device.\n"


def test_an_interrupt_ends_quietly(cli: Cli) -> None:
    with cli.keeper.hold():
        process = cli.process("token")
        wait_until(lambda: len(cli.keeper.requests) == 1)
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == 130


def test_a_failure_of_this_machine_has_its_own_code() -> None:
    assert code_of(CommandFailed("x")) == 1
    assert code_of(CommandFailed("x", code=127)) == 127


def test_a_keeper_that_is_gone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeKeeper() as gone:
        url = gone.url
    monkeypatch.setenv("OAUTH_CALLBACK_URL", url)
    ended = cli("token", "--wait=0")
    assert (ended.code, ended.out) == (75, "")
    assert "Connection refused" in ended.err


# Each costs a part of the time that Python itself takes to start.
_SLOW = {
    "asyncio", "dataclasses", "inspect", "logging", "pathlib", "shutil", "subprocess",
    "tempfile", "threading", "typing", "urllib.request", "webbrowser",
}  # fmt: skip


def test_a_token_imports_no_other_command_and_nothing_slow(cli: Cli) -> None:
    program = """
import sys
before = set(sys.modules)
from oauth_callback.cli.main import main
main(["token"])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    process = cli.process(command=[sys.executable, "-c", program])
    out, err = process.communicate()
    assert out == "token-1\n"
    imported = set(err.split())
    assert imported & _SLOW == set()
    own = {name for name in imported if name.startswith("oauth_callback.cli.commands.")}
    assert own == {"oauth_callback.cli.commands.print_token"}
    others = {"oauth_callback.source", "oauth_callback.profiles", "oauth_callback.cli.sinks"}
    assert imported & others == set()
