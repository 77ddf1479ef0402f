"""A Secrets Manager for the tests."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import botocore.session

from tests.system.aws_peer import access_to, aws_server, variables_for


@dataclass(frozen=True, slots=True)
class SecretsPeer:
    """A running Secrets Manager, and a client for the owner of the secrets."""

    access: Mapping[str, str] = field(repr=False)
    client: Any

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead to it."""
        return variables_for("SECRETS_MANAGER", self.access)

    def new_secret(self, **value: str | bytes) -> str:
        """Create a secret that nobody else has, as `SecretString=…` or empty; return its name."""
        name = f"secret/{uuid4().hex}"
        self.client.create_secret(Name=name, **value)
        return name

    def put(self, name: str, variables: Mapping[str, object]) -> None:
        """Give a secret another value."""
        self.client.put_secret_value(SecretId=name, SecretString=json.dumps(variables))

    def delete(self, name: str) -> None:
        """Let there be no such secret."""
        self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@contextmanager
def secrets_server() -> Iterator[SecretsPeer]:
    """Run a server on a loopback port. Raises ServerDidNotStartError."""
    with aws_server("secretsmanager") as server:
        access = access_to(server.url)
        client = botocore.session.Session().create_client("secretsmanager", **access)
        yield SecretsPeer(access, client)
