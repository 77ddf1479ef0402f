"""A real server answers all requests in all states as its OpenAPI document says."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from functions.endpoints.promises.document import text
from tests.conftest import COUNTED
from tests.functions.conftest import environ_for
from tests.functions.deployment import REDIRECT_URI, Deployment, deployed
from tests.system.account import RecordProperty
from tests.system.openapi_rare import NARROW_KEYS, SERVER, ask_what_is_rare
from tests.system.openapi_run import Found, documented, loaded, noted, run
from tests.system.simulated_digikey import simulated_digikey
from tests.thorough import times

SEED = 1
CASES_EACH = times(720, usually=80)
LEAST_CASES = times(5000, usually=1000)
UNREACHED = {
    # A fault of the application, of which none is known.
    (500, "unexpected"),
    # Only Lambda asks somebody else for its settings: `tests/functions/aws/test_aws_secret.py`.
    (503, "settings-unavailable"),
    # The deployment has no CALLERS: `tests/functions/access/test_callers.py`.
    (503, "issuer-unavailable"),
}


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
        environ = environ_for(digikey, folder) | {"API_KEYS": NARROW_KEYS, "SCOPE": "read write"}
        with deployed(SERVER, portal, environ, digikey) as deployment:
            yield deployment


@pytest.fixture(scope="module")
def found(deployment: Deployment) -> Found:
    """Return what schemathesis finds."""
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
        ask_what_is_rare(schema, deployment, portal)
    there = set(documented(json.loads(text())))
    assert set(answered) <= there
    assert there - set(answered) == {answer for answer in there if answer[1:] in UNREACHED} | {
        ("showLoginLink", 503, "text/html")  # its one problem of that status
    }
