"""docs/command-line.md: its commands run against a server of `make run`, in the page's order.

The first tests run before a login.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from oauth_callback.cli import exits
from oauth_callback.cli.sinks.kinds import KINDS
from oauth_callback.cli.table import COMMANDS
from oauth_callback.profiles import read_profile
from tests.docs.pages import ROOT, block, blocks, first_cells, page
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http
from tests.system.simulated_digikey import press

PAGE = page("command-line.md")
INSTALLED = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT / "client/src")!r})
from oauth_callback.cli.main import main
sys.exit(main())
"""


class Shell:
    """A person's shell, with the command on its PATH and the settings of a server."""

    def __init__(self, server: LocalServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        (folder / "bin").mkdir()
        command = folder / "bin/oauth-callback"
        command.write_text(INSTALLED)
        command.chmod(0o700)
        self.environ = {
            **os.environ,
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "OAUTH_CALLBACK_URL": server.address,
            "OAUTH_CALLBACK_KEY": server.api_key,
        }

    def start(self, command: str) -> "subprocess.Popen[str]":
        """Start a command of the page."""
        pipe = subprocess.PIPE
        arguments = ["bash", "-e", "-o", "pipefail", "-c", command]
        return subprocess.Popen(
            arguments, cwd=self.folder, env=self.environ, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, command: str, *, code: int = 0, stdin: str = "") -> str:
        """Run a command of the page, and return its output."""
        ended = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def log_in(self, command: str, button: str = "allow") -> str:
        """Run a command, press a button at the provider, and return what it prints at last."""
        process = self.start(command)
        assert process.stderr is not None
        line = process.stderr.readline()
        callback = press(line.split()[-1], button)
        http.get(callback, headers={"accept": "text/html"})
        _, err = process.communicate()
        assert process.returncode == 0, line + err
        return err


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell of a newcomer: nobody has logged in."""
    with local_server(tmp_path_factory.mktemp("server")) as server:
        yield Shell(server, tmp_path_factory.mktemp("person"))


def command_of(having: str) -> str:
    """Return the block of shell commands that contains a text."""
    return block("sh", PAGE, having=having)


def test_the_page_names_each_command_kind_format_and_code() -> None:
    assert [name for name in COMMANDS if name not in PAGE] == []
    assert first_cells(
        "can read it (0600). It never has a refresh token. While the deployment "
        "is away, the file keeps the old token.",
        PAGE,
    ) == list(KINDS)
    codes = {value for name, value in vars(exits).items() if name.isupper() and name[0] != "_"}
    assert set(first_cells("## Exit codes", PAGE)) == {"0", *map(str, codes)}


def test_the_doctor_finds_that_nobody_has_logged_in(shell: Shell) -> None:
    assert "Nobody has logged in" in shell.run("oauth-callback token", code=77)
    process = shell.start("oauth-callback doctor")
    out, err = process.communicate()
    assert (process.returncode, err) == (77, "")
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 4 + ["FAULT"]
    assert shell.server.api_key not in out


def test_a_person_logs_in(shell: Shell) -> None:
    # Without a display it opens no browser.
    shell.environ.update({"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""})
    assert shell.log_in(command_of("login\n")) == "oauth-callback: Logged in: default.\n"
    assert shell.log_in(command_of("login alice")) == "oauth-callback: Logged in: alice.\n"


def test_a_browser_is_opened(shell: Shell) -> None:
    opened = shell.folder / "opened"
    browser = shell.folder / "bin/browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o700)
    assert "Logged in" in shell.log_in(f"BROWSER={browser} oauth-callback login")
    assert opened.read_text().startswith(shell.server.address)


def test_a_login_that_nobody_finishes_ends(shell: Shell) -> None:
    # The connection works, and a login before does not count.
    error = shell.run("oauth-callback login --no-browser --timeout 1", code=77)
    assert "Nobody has finished the login in time" in error


def test_the_doctor_finds_no_fault(shell: Shell) -> None:
    doctor = command_of("oauth-callback doctor").splitlines()[-1]
    out = shell.run(doctor)
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 5
    wrong = shell.start("OAUTH_CALLBACK_KEY=not-a-key-of-the-server oauth-callback doctor")
    out, _ = wrong.communicate()
    assert wrong.returncode == 78
    assert out.splitlines()[-1].startswith("FAULT    The API key is unknown.")


def test_a_refresh_token_is_adopted(shell: Shell) -> None:
    begun = http.post(
        f"{shell.server.address}/api/login", headers={"x-api-key": shell.server.api_key}
    )
    code = re.search(r"[?&]code=([^&]+)", press(begun.json()["authorization_url"], "allow"))
    assert code is not None
    secret = shell.server.folder / ".local/simulated-client-secret"
    form = {
        "grant_type": "authorization_code",
        "code": code.group(1),
        "client_id": "simulated-client",
        "client_secret": secret.read_text().strip(),
        "redirect_uri": f"{shell.server.address}/api/callback",
    }
    token_url = f"{shell.server.address}/simulated-digikey/v1/oauth2/token"
    tokens = http.post(token_url, data=form).raise_for_status().text
    (shell.folder / "token_storage.json").write_text(tokens)
    adopt = command_of("adopt")
    shell.run(adopt)
    assert shell.server.token_works(shell.run("oauth-callback token digikey").strip())
    # Another one by stdin: the connection works.
    text = "another-refresh-token"
    error = shell.run("oauth-callback adopt --connection digikey", code=1, stdin=text)
    assert "--replace" in error
    assert text not in error


@pytest.mark.parametrize(
    ("stdin", "code", "message"),
    [
        pytest.param("", 2, "no refresh token", id="nothing"),
        pytest.param("{", 2, "not a JSON object", id="not JSON"),
        pytest.param('{"access_token": "secret"}', 2, "refresh_token", id="no refresh token"),
        pytest.param("a secret with spaces", 78, "Invalid refresh_token", id="not a token"),
    ],
)
def test_an_unusable_refresh_token_changes_nothing(
    shell: Shell, stdin: str, code: int, message: str
) -> None:
    error = shell.run("oauth-callback adopt --connection new", code=code, stdin=stdin)
    assert message in error
    assert "secret" not in error
    state = shell.start("oauth-callback status new --json")
    out, _ = state.communicate()
    assert json.loads(out)[0]["state"] == "unauthorized"


def test_the_state_is_shown(shell: Shell) -> None:
    table, as_json = command_of("status default").splitlines()
    rows = [line.split() for line in shell.run(table).splitlines()]
    assert [row[:2] for row in rows[1:]] == [["default", "fresh"], ["alice", "fresh"]]
    assert int(shell.run(as_json)) > 80
    missing = shell.start("oauth-callback status default nobody")
    out, err = missing.communicate()
    assert missing.returncode == 77
    assert "never-authorized" in out.splitlines()[-1]
    assert "oauth-callback login nobody" in err


def test_the_connections_are_listed(shell: Shell) -> None:
    every, urgent, as_json = command_of("oauth-callback list\n").splitlines()
    assert sorted(shell.run(every).split()) == ["alice", "default", "digikey"]
    assert shell.run(urgent) == ""
    rows = [line.split("\t") for line in shell.run(as_json).splitlines()]
    assert sorted(rows) == [
        ["alice", "fresh", ""],
        ["default", "fresh", ""],
        ["digikey", "fresh", ""],
    ]
    error = shell.run("oauth-callback list --state no-state", code=78)
    assert "action-required" in error


def test_a_token_is_printed(shell: Shell) -> None:
    default, alice = shell.run(command_of("token alice")).splitlines()
    assert shell.server.token_works(default)
    assert shell.server.token_works(alice)
    assert default != alice


def test_curl_and_shells_use_a_token(shell: Shell) -> None:
    seen: list[str | None] = []

    class Api(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as api:
        threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
        shell.environ["API_URL"] = f"http://127.0.0.1:{api.server_address[1]}"
        printed = shell.run(command_of("--format curl"))
        api.shutdown()
    token = shell.run("oauth-callback token").strip()
    assert seen == [f"Bearer {token}"] * 3
    assert re.fullmatch(r"20\S+Z\n", printed)


def test_programs_run_with_tokens(shell: Shell) -> None:
    shell.run(command_of("--env ALICE"))
    (shell.folder / "my_script.py").write_text(
        "import json; print(json.load(open('token_storage.json'))['access_token'])"
    )
    assert shell.server.token_works(shell.run(command_of("my_script.py")).strip())


def test_a_token_file_is_written(shell: Shell) -> None:
    (shell.folder / "token_storage.json").unlink()
    shell.run(command_of("oauth-callback sink"))
    members = json.loads((shell.folder / "token_storage.json").read_text())
    assert shell.server.token_works(members["access_token"])


def test_git_is_configured(shell: Shell) -> None:
    shell.run(command_of("git config").replace("--connection git", "--connection alice"))
    filled = shell.run("git credential fill", stdin="protocol=https\nhost=git.example\n\n")
    token = re.search("^password=(.*)$", filled, re.MULTILINE)
    assert token is not None
    assert shell.server.token_works(token.group(1))
    # The server refused it: the next one is another.
    shell.run("git credential reject", stdin=filled)
    again = shell.run("git credential fill", stdin="protocol=https\nhost=git.example\n\n")
    assert token.group(1) not in again


def test_docker_and_bazel_call_the_command_by_a_name(shell: Shell) -> None:
    shell.run(command_of("~/bin/docker"))
    shell.run(command_of("~/bin/bazel"))
    (helper,) = json.loads(block("json", PAGE, having="credHelpers"))["credHelpers"].values()
    out = shell.run(f"docker-credential-{helper} get", stdin="registry.example")
    assert shell.server.token_works(json.loads(out)["Secret"])
    name = re.search(r"bin/(bazel\S+)", block("text", PAGE, having="credential_helper"))
    assert name is not None
    out = shell.run(f"{name.group(1)} get", stdin='{"uri": "https://storage.example"}')
    assert json.loads(out)["headers"]["Authorization"][0].startswith("Bearer ")


def test_kubectl_is_configured() -> None:
    config = block("yaml", PAGE, having="exec:")
    assert re.search(r"args: \[kube-exec, CONNECTION\]", config)
    assert "kube-exec" in COMMANDS


def test_shells_complete(shell: Shell) -> None:
    eval_ = command_of("completion bash").strip()
    assert "oauth-callback" in shell.run(f"{eval_}; complete -p oauth-callback")
    (shell.folder / ".config/fish/completions").mkdir(parents=True)
    shell.run(command_of("completion zsh"))
    assert "#compdef" in (shell.folder / ".zsh-completion").read_text()
    assert (shell.folder / ".config/fish/completions/oauth-callback.fish").stat().st_size


def test_the_profiles_of_the_page_are_read(shell: Shell) -> None:
    folder = shell.folder / ".config/oauth-callback"
    folder.mkdir(parents=True)
    profiles = folder / "profiles.json"
    profiles.write_text(block("json", PAGE, having="OTHER.example"))
    profiles.chmod(0o600)
    assert read_profile("work", shell.environ).key_file == "/run/secrets/key"
    assert read_profile(None, shell.environ).url == "https://NAME.example"
    profiles.unlink()


def test_each_block_of_commands_is_run_by_a_test() -> None:
    source = Path(__file__).read_text()
    named = re.findall(r'command_of\("([^"]+)"\)', source)
    unrun = [
        each
        for each in blocks("sh", PAGE)
        if not any(text.replace("\\n", "\n") in each for text in named)
    ]
    assert unrun == []
