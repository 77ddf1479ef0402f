"""The stack's template as AWS would get it; made once."""

import json
import os
from functools import cache
from typing import Any

import pytest

from infra.aws.check import TEMPLATE, find_missing, transform

BUCKET, KEY = "bucket", "key"
"""Where its functions' code is said to be."""


def require_tools() -> None:
    """Skip the test where AWS's tools are missing; in CI, fail it."""
    if reason := find_missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


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
