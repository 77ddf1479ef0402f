"""A real server does as its OpenAPI document says, whatever it is asked, however things stand."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from schemathesis.specs.openapi.schemas import OpenApiSchema

from functions.document_endpoint import DOCUMENT
from tests.conftest import COUNTED
from tests.functions.conftest import environ_for
from tests.functions.deployment import (
    API_KEY,
    CRON_SECRET,
    HTML,
    JSON,
    REDIRECT_URI,
    Deployment,
    deployed,
)
from tests.functions.grants import fresh
from tests.functions.hosts import Host, Running, server_process
from tests.functions.stores import sqlite_store
from tests.system.account import RecordProperty
from tests.system.openapi_run import Found, ask, documented, loaded, noted, run
from tests.system.openapi_states import CALLBACKS, put_refreshing
from tests.system.simulated_digikey import simulated_digikey

# What each operation is asked with.
KEYS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("checkHealth", "getDocument", "completeLogin"), JSON),
    **dict.fromkeys(
        ("getToken", "verifyConnection", "beginLogin", "refreshConnection"), ("x-api-key", API_KEY)
    ),
    # Schemathesis, which takes it away once, knows it in this spelling.
    "sweep": ("Authorization", f"Bearer {CRON_SECRET}"),
}
SEED = 1
CASES_EACH = 850
LEAST_CASES = 5000


@contextmanager
def quiet_uvicorn(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run the application as a server of one's own does, with warnings for its log."""
    command = ["-m", "uvicorn", "functions.asgi:app", "--log-level", "warning"]
    with server_process(command, environ, port_option="--port") as running:
        yield running


SERVER = Host(run=quiet_uvicorn, store=sqlite_store)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def deployment(
    portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A server over a file, with the simulated Digi-Key."""
    folder = tmp_path_factory.mktemp("openapi")
    with simulated_digikey(redirect_uri=REDIRECT_URI) as digikey:
        environ = environ_for(digikey, folder)
        with deployed(SERVER, portal, environ, digikey) as deployment:
            yield deployment


@pytest.fixture(scope="module")
def found(deployment: Deployment) -> Found:
    """What schemathesis finds, and how long that takes."""
    return run(deployment, seed=SEED, cases_each=CASES_EACH)


def test_no_request_is_answered_otherwise_than_documented(
    found: Found, record_property: RecordProperty
) -> None:
    record_property(COUNTED, f"{found}, seed {SEED}")
    assert not found.failures, "\n".join(found.failures.values())
    assert found.cases >= LEAST_CASES


def test_every_answer_that_is_documented_is_given(
    deployment: Deployment, portal: BlockingPortal, found: Found
) -> None:
    schema, answered = loaded(deployment), Counter(found.answered)
    with noted(answered):
        ask_what_is_rare(schema, deployment)
        ask_what_is_at_fault(schema, deployment, portal)
    there = set(documented(json.loads(DOCUMENT.read_text())))
    assert set(answered) <= there
    # A fault of the application, of which none is known.
    unreached = {(operation, 500, "unexpected") for operation, _, _ in there}
    assert there - set(answered) == unreached


def ask_what_is_rare(schema: OpenApiSchema, deployment: Deployment) -> None:
    """Ask for what no generated request comes upon, or not within its time."""
    with ThreadPoolExecutor() as pool:
        # These wait for as long as any caller has to.
        put_refreshing(deployment, "busy")
        waiting = [
            pool.submit(ask, schema, name, "connection=busy", KEYS[name], at=deployment)
            for name in ("getToken", "refreshConnection")
        ]
        for name, key in KEYS.items():
            ask(schema, name, "x=1&x=2", key, at=deployment)
            ask(schema, name, "x=" + "a" * 9000, key, at=deployment)
        for name in ("beginLogin", "refreshConnection"):
            ask(schema, name, "", KEYS[name], at=deployment, body=b"x" * 70_000)
        for future in waiting:
            future.result()
    for prepare, accept in product(CALLBACKS, (HTML, JSON)):
        query = {"state": "x", "code": "y", **prepare(deployment)}
        ask(schema, "completeLogin", urlencode(query), accept, at=deployment)
    ask(schema, "completeLogin", "x=" + "a" * 9000, HTML, at=deployment)


def ask_what_is_at_fault(
    schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal
) -> None:
    """Ask deployments that lack a variable, their store, or the key of what is stored."""
    deployment.put("default", fresh())
    faults = (
        {"CLIENT_ID": ""},
        {"SQLITE_PATH": str(Path(deployment.environ["SQLITE_PATH"]).parent)},
        {"CLIENT_SECRET": "another-secret"},
    )
    for fault in faults:
        with quiet_uvicorn(portal, {**deployment.environ, **fault}) as running:
            for name, key in [*KEYS.items(), ("completeLogin", HTML)]:
                query = "state=x&code=y" if name == "completeLogin" else ""
                ask(schema, name, query, key, at=running)
