"""The bundles of Vercel's builder have all they need and no more. Only endpoints are public."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from functions.asgi import ROUTES
from functions.endpoints.page.routes import PAGES
from functions.routes import METADATA, TOKEN_URL
from infra.constraints import LOCK, constraints
from tests.conftest import COUNTED
from tests.system.account import RecordProperty
from tests.system.vercel_artifact import (
    ROOT,
    SECRETS_OF_THE_BUILD,
    Artifact,
    Function,
    artifact,
)
from tests.system.vercel_bundle import (
    MAX_DURATIONS,
    MEGABYTE,
    distributions,
    parts,
    strays,
    weighed,
)
from tests.system.vercel_router import routed, routes_of

CONFIG = json.loads((ROOT / "vercel.json").read_text())
FUNCTIONS = sorted(MAX_DURATIONS)
MOST_MEGABYTES = 45
STRAYS = """
.env .local/api-key Makefile README.md domain/README.md functions/.env infra/locks/runtime.txt
pyproject.toml tests/conftest.py uv.lock
"""
UNPUBLISHED = """
/.env /.local/api-key /README.md /api /api/ /api/TOKEN /api/__init__ /api/openapi
/api/openapi-json /api/oauth /api/oauth/token/x /api/oauth_token /.well-known /.well-known/x
/api/token.json /api/token.py /api/token// /api/token/x /api/tokens
//api/token /domain/decide.py /functions
/connections /connections/a/b /sign-in/x
/functions/vercel/token /functions/vercel/token.py /pyproject.toml /vercel.json /x/api/token
"""

# The builder adds its own runtime, and pip.
ADDED = {"pip", "vercel-runtime"}


@pytest.fixture(scope="module")
def built() -> Artifact:
    return artifact()


@pytest.fixture(params=FUNCTIONS)
def function(built: Artifact, request: pytest.FixtureRequest) -> Function:
    return built.functions[request.param]


def test_there_is_a_function_for_each_endpoint(built: Artifact) -> None:
    assert sorted(built.functions) == FUNCTIONS
    assert {function_of(path) for path in ROUTES} <= set(FUNCTIONS)


def function_of(path: str) -> str:
    """Name the function behind a path."""
    if path in {TOKEN_URL, METADATA}:
        return "oauth_token"
    return path.removeprefix("/api/").removesuffix(".json")


def test_bundle_has_what_belongs_there_and_nothing_else(function: Function) -> None:
    assert strays(function.files) == []
    expected = {f"{path.relative_to(ROOT)}" for path in application_sources()}
    there = {
        path for path in function.files if re.match(r"(adapters|domain|functions|ports)/", path)
    }
    assert {path for path in there if not path.endswith(".pyc")} == expected


def application_sources() -> list[Path]:
    folders = ["adapters", "domain", "functions", "ports"]
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def test_files_that_do_not_belong_are_recognised() -> None:
    paths = STRAYS.split()
    assert strays([*paths, "domain/decide.py", "_vendor/httpx/_api.py"]) == paths


def test_bundle_has_the_locked_versions_and_no_others(function: Function) -> None:
    environment = {"python_version": function.python.name.removeprefix("python")}
    locked = [Requirement(text) for text in constraints(LOCK.read_text())]
    expected = {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in locked
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    found = distributions(function.files)
    assert {name: version for name, version in found.items() if name not in ADDED} == expected
    assert set(found) == set(expected) | ADDED


def test_bundle_was_made_from_the_very_files_that_are_locked(built: Artifact) -> None:
    # uv installs only what has one of the hashes in its own lock, which the builder made; each of
    # those is in ours.
    locked = set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", LOCK.read_text()))
    names = {canonicalize_name(Requirement(text).name) for text in constraints(LOCK.read_text())}
    packages = {package["name"]: package for package in tomllib.loads(built.lock)["package"]}
    assert names <= set(packages)
    for name in names:
        files = [*packages[name]["wheels"], packages[name].get("sdist", {"hash": None})]
        assert {file["hash"] for file in files} - {None} <= locked, name


def test_everything_is_compiled(function: Function) -> None:
    compiled = {
        re.sub(r"__pycache__/(.+)\.cpython-\d+\.pyc$", r"\1.py", path)
        for path in function.files
        if path.endswith(".pyc")
    }
    sources = {path for path in function.files if path.endswith(".py")}
    assert sources - compiled == {"vc__handler__python.py"}


def test_bundle_and_its_environment_hold_no_secret(function: Function) -> None:
    assert set(function.environment) == {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    for path in function.files:
        content = (function.folder / path).read_bytes()
        assert not [
            secret for secret in SECRETS_OF_THE_BUILD.values() if secret.encode() in content
        ]


def test_bundle_is_small_and_has_the_time_it_needs(
    function: Function, record_property: RecordProperty
) -> None:
    record_property(COUNTED, weighed(function.name, function.files))
    assert parts(function.files).total() <= MOST_MEGABYTES * MEGABYTE
    assert function.max_duration == MAX_DURATIONS[function.name]


def test_parts_are_weighed_without_pip() -> None:
    sizes = {
        "_vendor/pip/a.py": 1,
        "_vendor/pip-26.3.dist-info/RECORD": 2,
        "_vendor/pipette/a.py": 4,
        "_vendor/single.py": 8,
        "functions/asgi.py": 16,
    }
    assert parts(sizes) == Counter({"functions": 16, "single files": 8, "pipette": 4})


def test_sweep_is_called_every_day() -> None:
    (cron,) = CONFIG["crons"]
    assert cron["path"] == "/api/sweep"
    assert re.fullmatch(r"\d+ \d+ \* \* \*", cron["schedule"])


@pytest.mark.parametrize("path", ROUTES)
def test_endpoint_goes_to_its_function(path: str) -> None:
    routes = routes_of((ROOT / "vercel.json").read_text())
    for target in (path, f"{path}/"):
        assert routed(routes, target) == f"functions/vercel/{function_of(path)}.py"


@pytest.mark.parametrize("path", [path.replace("NAME", "google:a@b") for path in PAGES])
def test_page_goes_to_its_function(path: str) -> None:
    routes = routes_of((ROOT / "vercel.json").read_text())
    for target in (path, f"{path}/"):
        assert routed(routes, target or "/") == "functions/vercel/page.py"


@pytest.mark.parametrize("path", UNPUBLISHED.split())
def test_nothing_else_is_published(path: str) -> None:
    routes = routes_of((ROOT / "vercel.json").read_text())
    assert routed(routes, path) == 404
