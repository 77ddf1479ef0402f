"""The stack of `infra/aws/template.yaml` on an imitation of AWS, with the functions as built.

ministack creates it by CloudFormation, and runs the functions as processes with the rights of their
roles: it verifies each signature and evaluates each policy. It runs them by its own Python, and so
is given theirs.
"""

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import botocore.session

from infra.aws.check import ROOT
from tests.infra.aws_template import BUCKET, KEY, native, require_tools
from tests.system.aws_peer import access_to, aws_server
from tests.system.lambda_artifact import lambda_artifact

_NAME = "oauth-callback"
_CREATED_WITHIN_SECONDS = 120.0
_POLL_INTERVAL = 0.1
# A function that has a role and nothing to do: it tries what it is told.
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
    """A stack that was created, and its account's owner, who may do everything."""

    access: Mapping[str, str] = field(repr=False)
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    """The names that AWS has given, by those in the template."""

    def client(self, service: str) -> Any:
        """Return the owner's client of a service."""
        return _client(service, self.access)

    @property
    def public_url(self) -> str:
        """Where the Function URL is in reality: its host name belongs to AWS."""
        host = self.outputs["PublicUrl"].removeprefix("https://")
        return f"{self.access['endpoint_url']}/_aws/lambda-url/{host.partition('.')[0]}"

    def probe(self, role: str, service: str, operation: str, **arguments: object) -> str:
        """Try something with the rights of a role: `done`, or the code of the refusal."""
        functions = self.client("lambda")
        name = f"probe-{role}"
        if name not in {one["FunctionName"] for one in functions.list_functions()["Functions"]}:
            functions.create_function(
                FunctionName=name,
                Role=f"arn:aws:iam::000000000000:role/{self.resources[role]}",
                Runtime="python3.13",
                Handler="probe.handler",
                Code={"ZipFile": _zip({"probe.py": _PROBE.encode()})},
            )
        event = {"service": service, "operation": operation, "arguments": arguments}
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
        told: str = json.load(answer["Payload"])
        assert "FunctionError" not in answer, told
        return told


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
        # In its own good order it would wait for connections that are kept for more requests.
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
    storage = _client("s3", access)
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
    clouds = _client("cloudformation", access)
    clouds.create_stack(
        StackName=_NAME,
        TemplateBody=native(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    deadline = time.monotonic() + _CREATED_WITHIN_SECONDS
    while (stack := _described(clouds))["StackStatus"] == "CREATE_IN_PROGRESS":
        assert time.monotonic() < deadline, stack
        time.sleep(_POLL_INTERVAL)
    resources = clouds.describe_stack_resources(StackName=_NAME)["StackResources"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", resources
    return Stack(
        access=access,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        resources={one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources},
    )


def _described(clouds: Any) -> Any:
    return clouds.describe_stacks(StackName=_NAME)["Stacks"][0]


def _client(service: str, access: Mapping[str, str]) -> Any:
    return botocore.session.Session().create_client(service, **access)


def _zip(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return content.getvalue()
