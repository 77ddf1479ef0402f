"""A deployment after a login, stand-ins, and shells in which the lines of the pages run."""

import os
import shlex
import shutil
import socketserver
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.docs.test_commands import log_in
from tests.recipes.runs import command_folder
from tests.recipes.standins.mail import Imap, Mail, Smtp
from tests.recipes.standins.site import Site
from tests.system.certificates import server_certificate
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http


class AbsentError(Exception):
    """A tool is not on this machine. The message has the way to install it."""


class LeakError(Exception):
    """A tool printed the API key or a token."""


@dataclass(kw_only=True)
class Place:
    """The deployment, the stand-ins with their ports on localhost, and an empty home."""

    server: LocalServer
    home: Path
    ca: Path
    site: Site
    mail: Mail
    ports: Mapping[str, int]
    key: str
    """The API key that the tools use."""
    tokens: set[str]
    """The tokens that the stand-ins have accepted."""

    def need(self, program: str, install: str) -> None:
        """Raise AbsentError if a program is not there."""
        if shutil.which(program) is None:
            raise AbsentError(install)

    def shell(
        self,
        command: str,
        *,
        code: int = 0,
        stdin: str = "",
        prints_token: bool = False,
        **environ: str,
    ) -> str:
        """Run lines, and return what they printed.

        Raises AssertionError for another exit code, LeakError.
        """
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            env=self.environ | environ,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        if not prints_token:
            self.check(done.stdout)
        assert done.returncode == code, f"exit code {done.returncode}: {done.stdout[-300:]}"
        return done.stdout

    def check(self, printed: str) -> None:
        """Raise LeakError if an output has the API key or a token."""
        if any(secret in printed for secret in (self.key, *self.tokens)):
            raise LeakError("The output has the API key or a token.")

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """Run a program that does not end by itself. Its output is dropped."""
        with subprocess.Popen(
            shlex.split(command),
            cwd=self.home,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield
            finally:
                process.terminate()

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a shell."""
        return {
            "HOME": str(self.home),
            "PATH": f"{command_folder(self.home)}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2] / "client/src"),
            "OAUTH_CALLBACK_URL": self.server.address,
            "OAUTH_CALLBACK_KEY": self.key,
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file of the home, for its owner alone."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)
        return file


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Run the deployment and the stand-ins."""
    home = folder / "home"
    home.mkdir()
    (folder / "server").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(local_server(folder / "server"))
        log_in(server)

        tokens = set[str]()

        def accepts(token: str) -> bool:
            url = f"{server.address}/simulated-digikey/_resource"
            is_current = http.get(url, headers={"authorization": f"Bearer {token}"}).is_success
            if is_current:
                tokens.add(token)
            return is_current

        site, mail = Site(accepts, folder / "site"), Mail(accepts)
        tls = server_certificate(folder, "localhost")
        handlers = {"http": site.handler(), "https": site.handler(), "smtps": Smtp, "imaps": Imap}
        ports = {
            name: stack.enter_context(_serving(name, handler, mail, tls))
            for name, handler in handlers.items()
        }
        yield Place(
            server=server,
            home=home,
            ca=folder / "certificate.pem",
            site=site,
            mail=mail,
            ports=ports,
            key=server.api_key,
            tokens=tokens,
        )


@contextmanager
def _serving(
    name: str, handler: type[socketserver.BaseRequestHandler], mail: Mail, tls: ssl.SSLContext
) -> Iterator[int]:
    """Serve a stand-in on a free port."""
    own = type("Handler", (handler,), {"mail": mail})
    server: socketserver.TCPServer = (
        ThreadingHTTPServer(("127.0.0.1", 0), own)
        if name.startswith("http")
        else socketserver.ThreadingTCPServer(("127.0.0.1", 0), own)
    )
    with server:
        if name.endswith("s"):
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
