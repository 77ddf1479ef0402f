"""AWS's services for the tests: ministack, of which a server runs those that are asked for."""

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
    """Tell clients all that they would look for in AWS's own variables."""
    return {
        "endpoint_url": url,
        "region_name": "eu-central-1",
        "aws_access_key_id": "not-a-real-key-id",
        "aws_secret_access_key": "not-a-real-secret-key",
    }


def variables_for(service: str, access: Mapping[str, str]) -> dict[str, str]:
    """Tell the same in AWS's own variables; the service as they write it: SECRETS_MANAGER."""
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
def aws_server(*services: str) -> Iterator[AwsServer]:
    """Run a server on a loopback port. Raises ServerDidNotStartError."""
    with TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environ = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": ",".join(services),
            # What it would listen for besides, and where it would look for containers.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{folder}/nothing",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": folder,
        }
        command = [sys.executable, "-m", "ministack"]
        with guarded_process(command, is_ready=lambda _: _answers(url), environ=environ) as process:
            yield AwsServer(url, process)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/_ministack/health").is_success
    except httpx.TransportError:
        return False
