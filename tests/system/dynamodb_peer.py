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

from tests.system.guarded_process import guarded_process
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

    @classmethod
    def at(cls, url: str) -> Self:
        """Tell clients all that they would look for in AWS's own variables."""
        access = {
            "endpoint_url": url,
            "region_name": "eu-central-1",
            "aws_access_key_id": "not-a-real-key-id",
            "aws_secret_access_key": "not-a-real-secret-key",
        }
        return cls(access, botocore.session.Session().create_client("dynamodb", **access))

    @property
    def url(self) -> str:
        """Where it is."""
        return self.access["endpoint_url"]

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
        with guarded_process(command, is_ready=lambda _: _answers(url), environ=environ):
            yield DynamoDbPeer.at(url)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/_ministack/health").is_success
    except httpx.TransportError:
        return False
