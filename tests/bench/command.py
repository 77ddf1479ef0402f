"""`oauth-callback token`: processor time from its start to the token.

It is measured by turns with an interpreter that does nothing. Modules are compiled, as pip installs
them. `python -m tests.bench.command` prints these rows alone.
"""

import argparse
import compileall
import os
import shutil
import ssl
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from tests.bench.figures import Row, table, time_row
from tests.system.certificates import server_certificate

_SOURCES = Path(__file__).parents[2] / "client/src"
_NOTHING = "pass"
_LIBRARY = "import argparse, json, re, urllib.parse"
_TOKEN = "from oauth_callback.cli.main import main; raise SystemExit(main())"


def command_rows(*, starts: int) -> list[Row]:
    """Start each command so many times."""
    with TemporaryDirectory() as name, _keeper(None) as port:
        folder = Path(name)
        python = _install(folder / "environment")
        context = server_certificate(folder, "127.0.0.1")
        authority = str(folder / "certificate.pem")
        with _keeper(context) as tls_port:
            runs = {
                "nothing": (_NOTHING, ""),
                "library": (_LIBRARY, ""),
                "http": (_TOKEN, f"http://127.0.0.1:{port}"),
                "https": (_TOKEN, f"https://127.0.0.1:{tls_port}"),
            }
            rounds = [
                {name: _cpu_seconds(python, authority, *run) for name, run in runs.items()}
                for _ in range(starts)
            ]
    return [
        _row("command: arguments, JSON and URLs of the library", "library", rounds),
        _row("command: token over http", "http", rounds),
        _row("command: token over https", "https", rounds),
    ]


def _row(what: str, name: str, rounds: Sequence[Mapping[str, float]]) -> Row:
    return time_row(
        f"{what}: processor time",
        [[one[name]] for one in rounds],
        base="python -c pass",
        base_rounds=[[one["nothing"]] for one in rounds],
    )


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"access_token": "token-1", "token_type": "Bearer", "expires_in": 1799}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _keeper(context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve a token, with the context over TLS. Yield the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _install(folder: Path) -> str:
    """Create an environment that has the compiled modules alone. Return its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_SOURCES, packages, ignore=ignored, dirs_exist_ok=True)
    compileall.compile_dir(packages, quiet=1)
    return str(folder / "bin/python")


def _cpu_seconds(python: str, authority: str, program: str, url: str) -> float:
    """Run a program without its output, and return the processor time that it took."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    environ |= {"OAUTH_CALLBACK_URL": url, "OAUTH_CALLBACK_KEY": "not-a-real-key"}
    environ["SSL_CERT_FILE"] = authority
    nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    command = [python, "-c", program, "token"]
    process = os.posix_spawn(python, command, environ, file_actions=[nowhere])
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{program!r} failed: {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.command", description=__doc__)
    parser.add_argument("--starts", type=int, default=30, help="of each; %(default)s")
    sys.stdout.write(table(command_rows(starts=parser.parse_args().starts)) + "\n")
