"""Runs the commands of docs/aws.md, with the imitation of AWS."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.aws.check import ROOT
from tests.system.aws_stack import Stack

PAGE = (ROOT / "docs/aws.md").read_text()
BUILD, BUILD_OTHERWISE, ASK, WRITE, PUT, LOG_IN, CHECK, VARIABLES, DOCTOR, RECOVER = re.findall(
    r"^ *```sh\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL
)

# In place of an editor: fill in the missing values, and add others.
_EDIT = """
import json, sys
from pathlib import Path

path = Path(sys.argv[-1])
assert path.stat().st_mode & 0o077 == 0
given = json.loads(path.read_text())
assert {name for name, value in given.items() if value == "…"} == {"CLIENT_ID", "CLIENT_SECRET"}
path.write_text(json.dumps(given | json.loads(Path("variables.json").read_text())))
"""


def fill_secret(stack: Stack, variables: Mapping[str, object]) -> str:
    """Fill in the secret as the page describes. Return the API key."""
    # In place of the host name, which belongs to AWS.
    there = f"PUBLIC_URL='{stack.public_url}'"
    report = 'echo "$API_KEY"; test ! -e secret.json'
    script = "\n".join([ASK, there, _unindented(WRITE), PUT, report])
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "edit.py").write_text(_EDIT)
        (folder / "variables.json").write_text(json.dumps(variables))
        (folder / ".venv").symlink_to(ROOT / ".venv")
        environ = {**_of_aws(stack.access), "EDITOR": f"{sys.executable} edit.py"}
        printed = shell(script, environ, folder=folder)
    assert f"the redirect URI: {stack.outputs['RedirectUri']}" in printed
    return printed.splitlines()[-1]


def operate(stack: Stack, command: str) -> str:
    """Run an operator's command as the page describes. Return its output."""
    there = f"PUBLIC_URL='{stack.public_url}'"
    return shell(f"{ASK}\n{there}\n{VARIABLES}\n{command}", _of_aws(stack.access))


def shell(script: str, environ: Mapping[str, str], *, folder: Path = ROOT) -> str:
    """Run commands in a shell until one fails. Return their output."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **environ}
    return subprocess.check_output(["bash", "-ec", script], cwd=folder, env=environ, text=True)


def _of_aws(access: Mapping[str, str]) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": access["endpoint_url"],
        "AWS_DEFAULT_REGION": access["region_name"],
        "AWS_ACCESS_KEY_ID": access["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": access["aws_secret_access_key"],
    }


def _unindented(block: str) -> str:
    """Remove the indentation of a list, which a here-document would keep."""
    return re.sub(r"^   ", "", block, flags=re.MULTILINE)
