"""The stack of `infra/aws/template.yaml` on an imitation of AWS, with the functions as built.

ministack creates it by CloudFormation, and runs the functions as processes with the rights of their
roles: it verifies each signature and evaluates each policy. Its own Python runs them, so it runs in
theirs.
"""

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import botocore.session

from infra.aws.check import ROOT
from tests.infra.aws_template import BUCKET, KEY, native, require_tools
from tests.system.aws_peer import access_to, aws_server
from tests.system.lambda_artifact import lambda_artifact
from tests.system.waiting import wait_until

_NAME = "oauth-callback"
# A function with a role, which calls the operation that its event names.
_PROBE = """
import botocore.session
from botocore.exceptions import ClientError

def handler(event, _context):
    client = botocore.session.Session().create_client(event["service"])
    try:
        getattr(client, event["operation"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "done"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A created stack, with the access of its account's owner, who may do everything."""

    access: Mapping[str, str] = field(repr=False)
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    """The names that AWS has given, by those in the template."""
    probes: set[str] = field(default_factory=set)
    """The roles that have a probe."""

    def client(self, service: str) -> Any:
        """Return the owner's client of a service."""
        return _client(service, self.access["endpoint_url"])

    @property
    def public_url(self) -> str:
        """Where the Function URL is in reality: its host name belongs to AWS."""
        host = self.outputs["PublicUrl"].removeprefix("https://")
        return f"{self.access['endpoint_url']}/_aws/lambda-url/{host.partition('.')[0]}"

    def probe(self, role: str, service: str, operation: str, **arguments: object) -> str:
        """Call an operation with the rights of a role. Return `done`, or the refusal's code."""
        functions = self.client("lambda")
        name = f"probe-{role}"
        if role not in self.probes:
            self.probes.add(role)
            functions.create_function(
                FunctionName=name,
                Role=f"arn:aws:iam::000000000000:role/{self.resources[role]}",
                Runtime="python3.13",
                # Its start takes long where the machine is busy.
                Timeout=60,
                Handler="probe.handler",
                Code={"ZipFile": _zip({"probe.py": _PROBE.encode()})},
            )
        event = {"service": service, "operation": operation, "arguments": arguments}
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
        code: str = json.load(answer["Payload"])
        assert "FunctionError" not in answer, code
        return code


@contextmanager
def aws_stack(**parameters: str) -> Iterator[Stack]:
    """Build the functions and create the stack. Skips the test where that cannot be."""
    require_tools()
    artifact = lambda_artifact()
    with TemporaryDirectory() as name, _aws(artifact.python, Path(name)) as access:
        _upload(artifact.task, access)
        yield _created(access, parameters)


@contextmanager
def _aws(python: Path, folder: Path) -> Iterator[Mapping[str, str]]:
    """Run all of AWS that there is, and yield the owner's access to it."""
    variables = {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": access_to("")["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": access_to("")["aws_secret_access_key"],
        # After an error Lambda waits a minute, then two.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
        "NO_PROXY": "127.0.0.1",
    }
    with aws_server(python=_with_ministack(python, folder), **variables) as server:
        yield access_to(server.url)
        # SIGTERM would wait for kept connections.
        server.process.kill()


def _with_ministack(python: Path, folder: Path) -> str:
    """Install ministack as it is locked, for the functions' version of Python."""
    run = partial(subprocess.run, check=True, cwd=ROOT, text=True)
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet", "--no-config"]
    run([*uv, "venv", "--clear", "--python", str(python), str(folder)])
    locked = (ROOT / "infra/locks/dev.txt").read_text().splitlines()
    [pinned] = [line.partition(" ")[0] for line in locked if line.startswith("ministack==")]
    lock = ["--require-hashes", "--constraint", "infra/locks/dev.txt", "--requirement", "-"]
    run([*uv, "pip", "install", "--python", str(folder), *lock], input=pinned)
    return str(folder / "bin/python")


def _upload(artifact: Path, access: Mapping[str, str]) -> None:
    storage = _client("s3", access["endpoint_url"])
    storage.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": access["region_name"]},
    )
    files = {
        str(path.relative_to(artifact)): path.read_bytes()
        for path in sorted(artifact.rglob("*"))
        if path.is_file()
    }
    storage.put_object(Bucket=BUCKET, Key=KEY, Body=_zip(files))


def _created(access: Mapping[str, str], parameters: Mapping[str, str]) -> Stack:
    clouds = _client("cloudformation", access["endpoint_url"])
    clouds.create_stack(
        StackName=_NAME,
        TemplateBody=native(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    wait_until(lambda: _described(clouds)["StackStatus"] != "CREATE_IN_PROGRESS", every=0.2)
    stack = _described(clouds)
    resources = clouds.describe_stack_resources(StackName=_NAME)["StackResources"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", resources
    return Stack(
        access=access,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        resources={one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources},
    )


def _described(clouds: Any) -> Any:
    return clouds.describe_stacks(StackName=_NAME)["Stacks"][0]


@cache
def _client(service: str, url: str) -> Any:
    return botocore.session.Session().create_client(service, **access_to(url))


def _zip(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()
