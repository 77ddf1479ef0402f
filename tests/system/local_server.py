"""`make run` as a newcomer has it: in an empty folder, on a free port."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from tests.system.loopback import free_port

ROOT = Path(__file__).resolve().parents[2]
_OWN = {"API_KEY", "CLIENT_ID", "CLIENT_SECRET", "PROVIDER", "SQLITE_PATH", "PUBLIC_URL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A server that runs in `folder`, and what it said when it started."""

    address: str
    folder: Path
    greeting: str

    @property
    def api_key(self) -> str:
        """The key that it made and keeps."""
        return (self.folder / ".local/api-key").read_text().strip()

    def shell(self, command: str, environ: Mapping[str, str] = os.environ) -> str:
        """Run a documented command in the server's folder, against its port."""
        there = command.replace("http://localhost:8000", self.address)
        return subprocess.check_output(
            ["bash", "-c", there], cwd=self.folder, text=True, env={**os.environ, **environ}
        )

    def token_works(self, access_token: str) -> bool:
        """Whether the simulated provider's products can be read with the token."""
        response = httpx.get(
            f"{self.address}/simulated-digikey/products/v4/search/example",
            headers={
                "authorization": f"Bearer {access_token}",
                "x-digikey-client-id": "simulated-client",
            },
        )
        return response.status_code == httpx.codes.OK


@contextmanager
def local_server(
    folder: Path,
    command: tuple[str, ...] = (sys.executable, "-m", "infra.local.run"),
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[LocalServer]:
    """Start the server in a folder, wait until it has greeted, and stop it in the end."""
    address = f"http://localhost:{(port := free_port())}"
    environ = {name: value for name, value in os.environ.items() if name not in _OWN}
    environ |= {"PORT": str(port), "PYTHONPATH": str(ROOT), **variables}
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            greeting = ""
            for line in process.stdout:
                greeting += line
                if re.search(r"/api/verify$", line.strip()):
                    break
            yield LocalServer(address=address, folder=folder, greeting=greeting)
        finally:
            process.terminate()
            process.wait()
