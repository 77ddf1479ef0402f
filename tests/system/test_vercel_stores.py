"""A bundle with the libraries of the other stores: it reads them by TCP, on Vercel's runtime."""

import json
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.docs.pages import block, page
from tests.functions.conftest import environ_for
from tests.functions.deployment import API_KEY
from tests.functions.doctors import keep
from tests.functions.grants import fresh
from tests.functions.stores import StorePeer, postgres_store, redis_store
from tests.system.loopback import http
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.vercel_artifact import Function, Tree, built, repository, require_builder
from tests.system.vercel_bundle import MEGABYTE, distributions, parts
from tests.system.vercel_runtime import function_process

# Nobody logs in here.
NO_PROVIDER = SimulatedDigiKeyPeer(
    address="http://localhost:1", client_id="client", client_secret="secret", redirect_uri=""
)
# https://vercel.com/docs/functions/limitations
MOST_MEGABYTES = 250


def with_libraries(tree: Tree) -> Tree:
    """Change the tree as docs/redis.md and docs/postgres.md say, for the function of tokens."""
    text = tree["pyproject.toml"].decode()
    redis = tomllib.loads(block("toml", page("redis.md"), having="redis=="))["dependencies"]
    added = [*redis, *tomllib.loads(text)["dependency-groups"]["postgres"]]
    lines = "".join(f"    {json.dumps(requirement)},\n" for requirement in added)
    project = text.replace("\ndependencies = [\n", f"\ndependencies = [\n{lines}", 1)
    config = json.loads(tree["vercel.json"])
    config["builds"][0]["src"] = "functions/vercel/token.py"
    return {
        **tree,
        "pyproject.toml": project.encode(),
        "vercel.json": json.dumps(config).encode(),
    }


@pytest.fixture(scope="module")
def function() -> Function:
    require_builder()
    return built(with_libraries(repository())).functions["token"]


@pytest.mark.parametrize(
    "start",
    [pytest.param(redis_store, id="redis"), pytest.param(postgres_store, id="postgres")],
)
def test_a_function_with_the_library_reads_a_fresh_token(
    function: Function, start: Callable[[], AbstractContextManager[StorePeer]]
) -> None:
    with start() as store:
        environ = environ_for(NO_PROVIDER, store.environ)
        keep(environ, grant := fresh())
        with function_process(function, environ) as process:
            answer = http.get(f"{process.address}/api/token", headers={"x-api-key": API_KEY})
            assert answer.json()["access_token"] == grant.tokens.access_token, process.log()


def test_the_libraries_fit_into_a_function(function: Function) -> None:
    assert {"redis", "psycopg", "psycopg-binary", "psycopg-pool"} <= set(
        distributions(function.files)
    )
    assert parts(function.files).total() <= MOST_MEGABYTES * MEGABYTE
