"""AWS's services for the tests: a server of ministack with some of them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import httpx

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port, http


def access_to(url: str) -> dict[str, str]:
    """Return the arguments of a client, in place of AWS's own variables."""
    return {
        "endpoint_url": url,
        "region_name": "eu-central-1",
        "aws_access_key_id": "not-a-real-key-id",
        "aws_secret_access_key": "not-a-real-secret-key",
    }


def variables_for(service: str, access: Mapping[str, str]) -> dict[str, str]:
    """Return the same as AWS's own variables, with a service as they spell it: SECRETS_MANAGER."""
    return {
        f"AWS_ENDPOINT_URL_{service}": access["endpoint_url"],
        "AWS_REGION": access["region_name"],
        "AWS_ACCESS_KEY_ID": access["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": access["aws_secret_access_key"],
    }


@dataclass(frozen=True, slots=True)
class AwsServer:
    """A running server: where it is, and its process."""

    url: str
    process: GuardedProcess


@contextmanager
def aws_server(
    *services: str, python: str = sys.executable, **variables: str
) -> Iterator[AwsServer]:
    """Run a server on a loopback port. Raises ServerDidNotStartError.

    It has all services where none is named. Its own Python runs Lambda functions.
    """
    with TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environ = {
            # Functions inherit it. Another test of this process may have set AWS's variables.
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(services),
            # Not its other ports, and no containers.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{folder}/nothing",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": folder,
            **variables,
        }
        command = [python, "-m", "ministack"]
        with guarded_process(command, is_ready=lambda _: _answers(url), environ=environ) as process:
            yield AwsServer(url, process)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/_ministack/health").is_success
    except httpx.TransportError:
        return False
