"""The helpers of kubectl, docker, Bazel and Claude, and the completion of shells."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from oauth_callback.cli.table import COMMANDS
from tests.client.cli.rig import Cli


@pytest.mark.parametrize(
    ("info", "version"),
    [
        pytest.param(None, "v1", id="by hand"),
        pytest.param({"apiVersion": "client.authentication.k8s.io/v1"}, "v1", id="v1"),
        pytest.param({"apiVersion": "client.authentication.k8s.io/v1beta1"}, "v1beta1", id="beta"),
    ],
)
def test_kubectl_gets_a_credential_of_its_version(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, info: dict[str, str] | None, version: str
) -> None:
    if info is not None:
        monkeypatch.setenv("KUBERNETES_EXEC_INFO", json.dumps(info))
    document = json.loads(cli("kube-exec", "a").out)
    assert document["status"].pop("expirationTimestamp").endswith("Z")
    assert document == {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "kind": "ExecCredential",
        "status": {"token": "a-token-1"},
    }


def test_kubectl_of_another_version_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", '{"apiVersion": "v7"}')
    ended = cli("kube-exec")
    assert (ended.code, ended.out) == (78, "")
    assert "KUBERNETES_EXEC_INFO" in ended.err


def test_a_token_without_an_expiry_has_none(cli: Cli) -> None:
    cli.keeper.connection().lifetime = None
    assert json.loads(cli("kube-exec").out)["status"] == {"token": "token-1"}
    out = cli("headers", "get", stdin='{"uri": "https://x.example"}').out
    assert json.loads(out) == {"headers": {"Authorization": ["Bearer token-1"]}}


@pytest.mark.parametrize(
    ("server", "username"),
    [
        pytest.param("registry.example", "oauth2", id="any"),
        pytest.param("https://eu.gcr.io/v2/", "oauth2accesstoken", id="Google"),
        pytest.param("europe-docker.pkg.dev:443", "oauth2accesstoken", id="Artifact Registry"),
        pytest.param("me.azurecr.io", "00000000-0000-0000-0000-000000000000", id="Azure"),
    ],
)
def test_docker_gets_the_name_that_the_registry_demands(
    cli: Cli, server: str, username: str
) -> None:
    ended = cli("docker-credential", "get", stdin=f"{server}\n")
    assert json.loads(ended.out) == {
        "ServerURL": server,
        "Username": username,
        "Secret": "token-1",
    }


@pytest.mark.parametrize(
    ("operation", "stdin", "code", "out"),
    [
        pytest.param("list", "", 0, "{}\n", id="list"),
        pytest.param("erase", "registry.example", 0, "", id="erase"),
        pytest.param("store", '{"Secret": "s"}', 1, "stores no passwords", id="store"),
        pytest.param("get", "", 2, "not the address", id="no server"),
        pytest.param("get", "locked.example", 77, "Run `oauth-callback login`", id="no token"),
    ],
)
def test_docker_reads_errors_on_stdout(
    cli: Cli, operation: str, stdin: str, code: int, out: str
) -> None:
    cli.keeper.require_login()
    ended = cli("docker-credential", operation, stdin=stdin)
    assert (ended.code, ended.err) == (code, "")
    assert out in ended.out
    assert bool(out) == bool(ended.out)


@pytest.mark.parametrize(
    ("program", "arguments", "connection"),
    [
        ("docker-credential-oauth-callback", ("get",), None),
        ("/usr/bin/docker-credential-oauth-callback-google:me", ("get",), "google:me"),
        ("docker-credential-oauth-callback.exe", ("get",), None),
        ("bazel-credential-oauth-callback-b", ("get",), "b"),
        ("oauth-callback", ("headers", "get"), None),
    ],
)
def test_a_name_chooses_the_command_and_the_connection(
    cli: Cli, program: str, arguments: tuple[str, ...], connection: str | None
) -> None:
    ended = cli(*arguments, program=program, stdin='{"uri": "https://x.example"}')
    assert ended.code == 0
    assert cli.keeper.requests[-1].params.get("connection") == connection


def test_the_headers_of_claude_and_bazel(cli: Cli) -> None:
    assert json.loads(cli("headers").out) == {"Authorization": "Bearer token-1"}
    bazel = json.loads(cli("headers", "get", stdin='{"uri": "https://x.example/y"}').out)
    assert bazel.pop("expires").endswith("Z")
    assert bazel == {"headers": {"Authorization": ["Bearer token-1"]}}
    refused = cli("headers", "get", stdin='{"uri": "http://x.example/y"}')
    assert (refused.code, refused.out) == (1, "")
    assert "unencrypted" in refused.err


def complete_bash(folder: Path, line: str) -> str:
    """Return what bash completes at the end of a line."""
    words = " ".join(f"'{word}'" for word in line.split(" "))
    count = len(line.split(" ")) - 1
    script = f""". ./completion
COMP_WORDS=({words}) COMP_CWORD={count}
_oauth_callback; printf '%s ' "${{COMPREPLY[@]}}" """
    return _shell(folder, ["bash", "--norc", "-c", script])


def complete_fish(folder: Path, line: str) -> str:
    """Return what fish completes at the end of a line."""
    script = f"source completion; complete -C '{line}' | cut -f 1"
    return _shell(folder, ["fish", "--no-config", "-c", script])


def _shell(folder: Path, command: list[str]) -> str:
    environ = {**os.environ, "HOME": str(folder)}
    return subprocess.check_output(command, cwd=folder, text=True, env=environ)


COMPLETE = {"bash": complete_bash, "fish": complete_fish}


@pytest.mark.parametrize("shell", [name for name in COMPLETE if shutil.which(name)])
def test_a_shell_completes_commands_options_and_values(
    cli: Cli, tmp_path: Path, shell: str
) -> None:
    (tmp_path / "completion").write_text(cli("completion", shell).out)
    complete = COMPLETE[shell]
    assert set(COMMANDS) <= set(complete(tmp_path, "oauth-callback ").split())
    assert "--min-ttl" in complete(tmp_path, "oauth-callback token --m")
    assert "header" in complete(tmp_path, "oauth-callback token --format ")
    assert "digikey-api" in complete(tmp_path, "oauth-callback sink ")


def test_zsh_has_the_same_words(cli: Cli) -> None:
    script = cli("completion", "zsh").out
    assert all(f"'{name}:{summary}'" in script for name, (_, summary) in COMMANDS.items())
    assert "'--format=:value:(plain header json curl env)'" in script
