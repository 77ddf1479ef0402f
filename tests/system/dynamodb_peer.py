"""A DynamoDB for the tests: ministack, which evaluates conditions under a lock, as the real one.

Nothing is removed by its age: time to live is not enabled, as the tests' clocks stand still.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from uuid import uuid4

import botocore.session
import httpx

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port, http

# The arguments of CreateTable, without a name.
TABLE: Mapping[str, Any] = json.loads(
    (Path(__file__).parents[2] / "infra/aws/table.json").read_text()
)


@dataclass(frozen=True, slots=True)
class DynamoDbPeer:
    """A running DynamoDB, and a client of it to reach around the store."""

    access: Mapping[str, str] = field(repr=False)
    client: Any
    _process: GuardedProcess | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str, process: GuardedProcess | None = None) -> Self:
        """Tell clients all that they would look for in AWS's own variables."""
        access = {
            "endpoint_url": url,
            "region_name": "eu-central-1",
            "aws_access_key_id": "not-a-real-key-id",
            "aws_secret_access_key": "not-a-real-secret-key",
        }
        return cls(access, botocore.session.Session().create_client("dynamodb", **access), process)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.access["endpoint_url"]

    def pause(self) -> None:
        """Let it hang: it is connected to, and does not answer until `resume`."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        """Let it do now what it was asked while it was paused."""
        assert self._process is not None
        self._process.resume()

    def environ(self, table: str, *, url: str | None = None) -> dict[str, str]:
        """Return the variables by which the application is told of a table, there or at `url`."""
        return {
            "DYNAMODB_TABLE": table,
            "AWS_ENDPOINT_URL_DYNAMODB": url or self.url,
            "AWS_REGION": self.access["region_name"],
            "AWS_ACCESS_KEY_ID": self.access["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.access["aws_secret_access_key"],
        }

    def new_table(self, **changes: object) -> str:
        """Create a table that nobody else has, made otherwise where so told; return its name."""
        name = f"table-{uuid4().hex}"
        self.client.create_table(TableName=name, **{**TABLE, **changes})
        return name


@contextmanager
def dynamodb_server() -> Iterator[DynamoDbPeer]:
    """Run a server on a loopback port. Raises ServerDidNotStartError."""
    with TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environ = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb",
            # What it would listen for besides, and where it would look for containers.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{folder}/nothing",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": folder,
        }
        command = [sys.executable, "-m", "ministack"]
        with guarded_process(command, is_ready=lambda _: _answers(url), environ=environ) as process:
            yield DynamoDbPeer.at(url, process)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/_ministack/health").is_success
    except httpx.TransportError:
        return False
