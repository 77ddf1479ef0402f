"""Measures a function up to its first answer, on Vercel's own runtime.

The measure is processor time, which other work on the machine changes less. A function that only
answers ok shows the runtime's part.
"""

import json
import re
from collections.abc import Mapping
from functools import cache

import httpx

from tests.system.loopback import http
from tests.system.vercel_artifact import Function, built
from tests.system.vercel_runtime import function_process

_OK = b"""
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
    while scope["type"] == "lifespan":
        await send({"type": (await receive())["type"] + ".complete"})
"""
_PYPROJECT = b"""
[project]
name = "ok"
version = "0"
requires-python = ">=3.11"

[tool.uv]
package = false
"""
_BUILD = {
    "src": "ok.py",
    "use": "@vercel/python",
    "config": {"functions": {"ok.py": {"maxDuration": 30}}},
}
_VERCEL_JSON = {"build": {"env": {"VERCEL_PYTHON_COMPILEALL": "1"}}, "builds": [_BUILD]}


_IMPORTED = re.compile(r"import time: +(?P<microseconds>\d+) \| +\d+ \| *(?P<name>\S+)")


@cache
def ok_function() -> Function:
    """Build a function that only says ok, in the same way as all others."""
    tree = {
        "ok.py": _OK,
        "pyproject.toml": _PYPROJECT,
        "vercel.json": json.dumps(_VERCEL_JSON).encode(),
    }
    return built(tree).functions["ok"]


def cpu_seconds_to_first_answer(
    function: Function,
    environ: Mapping[str, str],
    path: str = "/api/health",
    headers: Mapping[str, str] | None = None,
) -> float:
    """Run a function, and return the processor time, user and system, up to its first answer."""
    with function_process(function, environ) as process:
        answer = http.get(f"{process.address}{path}", headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        return process.cpu_seconds()


def import_times(
    function: Function, environ: Mapping[str, str], path: str, headers: Mapping[str, str]
) -> dict[str, float]:
    """Run a function up to its first answer; return the seconds that each import took by itself."""
    with function_process(function, {**environ, "PYTHONPROFILEIMPORTTIME": "1"}) as process:
        answer = http.get(f"{process.address}{path}", headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        process.stop()
        lines = _IMPORTED.finditer(process.log())
        return {line["name"]: int(line["microseconds"]) / 1_000_000 for line in lines}
