"""A tool as a process, started by the lines of its page, with a home of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import block, page
from tests.patience import PATIENCE
from tests.recipes.front import Front
from tests.recipes.tool_folders import python_of
from tests.system.local_server import LocalServer

CLIENT_ID = "simulated-client"
PARTS = ("LM358P", "ATMEGA328P-PU", "LTL-307EE", "CF14JT10K0", "C320C104K5R5TA", "LM2596T-5.0/NOPB")
# A script of a user of digikey-api, which knows nothing of a deployment.
SCRIPT = """
import os, pathlib
import digikey
from digikey.v3.productinformation import KeywordSearchRequest

calls = 0
while not pathlib.Path(os.environ["STOP"]).exists():
    found = digikey.keyword_search(body=KeywordSearchRequest(keywords="texas", record_count=10))
    part = digikey.product_details("296-1395-5-ND")
    calls += 2
    assert found.products_count == 2 and part.manufacturer_part_number == "LM358P"
print(calls, "calls")
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A started tool, and its front."""

    front: Front
    process: subprocess.Popen[str]
    folder: Path

    def output(self) -> str:
        """Wait for the end, and return what it printed."""
        printed, _ = self.process.communicate(timeout=PATIENCE.total_seconds())
        return printed

    def kill(self) -> None:
        """End the tool, and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def command_of(name: str, *, having: str) -> str:
    """Return the lines of a page of docs/recipes."""
    lines = block("sh", page(f"recipes/{name}"), having=having)
    return lines.replace("ID=CLIENT_ID", f"ID={CLIENT_ID}")


def start(
    command: str, tool: str | None, front: Front, server: LocalServer, folder: Path, **environ: str
) -> Run:
    """Start a tool in its folder, which is its home. Without a tool, `sys.executable` has it."""
    tool_bin = Path(sys.executable if tool is None else python_of(tool)).parent
    variables = {
        "HOME": str(folder),
        "PATH": f"{command_folder(folder)}:{tool_bin}:{os.environ['PATH']}",
        "BROWSER": "false",
        "PYTHONUNBUFFERED": "1",
        "OAUTH_CALLBACK_URL": server.address,
        "OAUTH_CALLBACK_KEY": server.api_key,
        **front.environ,
        **environ,
    }
    process = subprocess.Popen(
        ["bash", "-ec", command],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return Run(front=front, process=process, folder=folder)


def command_folder(folder: Path) -> Path:
    """Return a folder with the command `oauth-callback`, as pip would install it."""
    there = folder / "bin"
    there.mkdir(exist_ok=True)
    command = there / "oauth-callback"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m oauth_callback.cli "$@"\n')
    command.chmod(0o755)
    return there


def prepare_script(folder: Path) -> None:
    """Write the script of digikey-api's user."""
    folder.mkdir()
    (folder / "my_script.py").write_text(SCRIPT)


def prepare_kicost(folder: Path, *, version: int = 4, parts: tuple[str, ...] = PARTS) -> None:
    """Write a bill of materials and the page's configuration."""
    cache_of(folder).mkdir(parents=True)
    rows = "".join(f"R{number},{part},1,{part}\n" for number, part in enumerate(parts))
    (folder / "bom.csv").write_text(f"Refs,Value,Qty,manf#\n{rows}")
    config = block("yaml", page("recipes/kicost.md"), having="APIs")
    changes: Mapping[str, str] = {"CLIENT_ID": CLIENT_ID, "version: 4": f"version: {version}"}
    for old, new in changes.items():
        assert old in config
        config = config.replace(old, new)
    (folder / "config.yaml").write_text(config)


def cache_of(folder: Path) -> Path:
    """Return the folder in which KiCost keeps answers and tokens."""
    return folder / ".cache/kicost/Digi-Key"
