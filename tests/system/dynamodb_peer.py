"""A DynamoDB for the tests, which evaluates conditions under a lock, as the real one.

Nothing is removed by its age: time to live is not enabled, as the tests' clocks stand still.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import botocore.session

from tests.system.aws_peer import access_to, aws_server, variables_for
from tests.system.guarded_process import GuardedProcess

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
        """Return a peer for the server at this URL."""
        access = access_to(url)
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
        """Return the variables that lead the application to a table, there or at `url`."""
        access = {**self.access, "endpoint_url": url or self.url}
        return {"DYNAMODB_TABLE": table, **variables_for("DYNAMODB", access)}

    def new_table(self, **changes: object) -> str:
        """Create a table of its own, with these changes. Return its name."""
        name = f"table-{uuid4().hex}"
        self.client.create_table(TableName=name, **{**TABLE, **changes})
        return name


@contextmanager
def dynamodb_server() -> Iterator[DynamoDbPeer]:
    """Run a server on a loopback port. Raises ServerDidNotStartError."""
    with aws_server("dynamodb") as server:
        yield DynamoDbPeer.at(server.url, server.process)
