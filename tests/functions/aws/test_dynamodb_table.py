"""A DynamoDB table that cannot be used: the answers, the log and the schedule's error."""

from collections.abc import Mapping

import pytest

from functions.aws.sweep import SweepFailedError
from tests.functions.aws.test_aws import scheduled
from tests.functions.conftest import environ_for
from tests.functions.deployment import API_KEY, CRON_SECRET
from tests.functions.expect import expect_problem
from tests.functions.settings.test_settings import answers_of
from tests.ports.store_contract import dynamodb
from tests.system.lambda_events import scheduler_event
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

MISSING = "no-such-table"
# The log's words, for an operator.
DOES_NOT_EXIST = (
    f"table '{MISSING}' (DYNAMODB_TABLE) does not exist in this account and region: create it"
)


@pytest.fixture
def environ(
    running_digikey: SimulatedDigiKeyPeer, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Name a table that is not there; AWS's client looks into this process's own environment."""
    store = dynamodb().environ(MISSING)
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    return environ_for(running_digikey, store)


def test_callers_may_retry_and_the_log_names_the_cause(
    environ: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answers = answers_of(environ, ("x-api-key", API_KEY))
    for path in ("/api/health", "/api/openapi.json"):
        assert answers.pop(path).status_code == 200
    # A state that was made up is known for one without the store.
    expect_problem(answers.pop("/api/callback?code=a&state=b"), 400, "invalid-state")
    for answer in answers.values():
        expect_problem(answer, 503, "store-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert MISSING not in answer.text
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert said == [f"the store is not available: {DOES_NOT_EXIST}"] * len(answers)


def test_a_schedulers_sweep_may_retry_and_the_log_names_the_cause(
    environ: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    key = ("authorization", f"Bearer {CRON_SECRET}")
    [answer] = answers_of(environ, key, endpoints=[("GET", "/api/refresh")]).values()
    expect_problem(answer, 503, "store-unavailable")
    assert f"the store is not available: {DOES_NOT_EXIST}" in caplog.text


def test_the_scheduled_sweep_raises_the_cause(environ: Mapping[str, str]) -> None:
    with scheduled(dict(environ)) as sweep, pytest.raises(SweepFailedError) as raised:
        sweep(scheduler_event(), None)
    assert str(raised.value) == f"the store is not available: {DOES_NOT_EXIST}"
