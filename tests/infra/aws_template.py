"""The stack's template as AWS would get it; made once."""

import json
from functools import cache
from typing import Any

from infra.aws.check import TEMPLATE, find_missing, transform
from tests.needs import cannot_run, set_up

BUCKET, KEY = "bucket", "key"
"""The place of the code in the transformed template."""


def require_tools() -> None:
    """Install AWS's tools, if need be. Skips the test where that cannot be; in CI, fails it."""
    if find_missing():
        set_up("aws-tools")
    if reason := find_missing():
        cannot_run(reason)


@cache
def native() -> str:
    """Return the template after SAM's transformation, in JSON. Skips the test without tools."""
    require_tools()
    return transform(TEMPLATE.read_text(), bucket=BUCKET, key=KEY)


def resources(kind: str) -> dict[str, Any]:
    """Return the properties of all resources of a type, by their names."""
    return {
        name: resource["Properties"]
        for name, resource in json.loads(native())["Resources"].items()
        if resource["Type"] == f"AWS::{kind}"
    }
