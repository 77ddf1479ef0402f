"""The log of a refresh: connection, host, cause and next try."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.policy import Policy
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse
from tests.domain.examples import DIGIKEY, POLICY, RESPONSE
from tests.functions.bench import EXPIRED, Bench

MINUTE = timedelta(minutes=1)


def log_of(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, by: Policy = POLICY
) -> tuple[str, str]:
    """Refresh once, and return the level and the text of the last line."""

    async def reply() -> Outcome:
        return outcome

    async def run() -> None:
        bench = Bench(reply, by=by)
        await bench.keep(EXPIRED)
        await bench.instance().token("c", min_ttl=MINUTE)

    with caplog.at_level("INFO"):
        asyncio.run(run())
    last = caplog.records[-1]
    return last.levelname, last.getMessage()


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (
            NoAnswer(delivery=Delivery.NOT_SENT, reason="ConnectError"),
            "cannot connect to api.digikey.com (ConnectError); next try in ",
        ),
        (
            NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending"),
            "nothing was sent to api.digikey.com (stalled before sending); next try in ",
        ),
        (
            NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout"),
            "no usable answer from api.digikey.com (ReadTimeout); next try in ",
        ),
        (
            TokenErrorResponse(status=503, error=None),
            "api.digikey.com answered 503 (no reason given); next try in ",
        ),
        (
            TokenErrorResponse(status=401, error="invalid_client"),
            "api.digikey.com answered 401 (invalid_client); next try in ",
        ),
        (
            replace(RESPONSE, expires_in=timedelta(0)),
            "api.digikey.com issued an access token that had already expired; next try in ",
        ),
    ],
    ids=str,
)
def test_failed_refresh_is_a_warning_that_names_host_cause_and_next_try(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, cause: str
) -> None:
    level, text = log_of(caplog, outcome)
    assert level == "WARNING"
    start = f"connection c: refresh failed: {cause}"
    assert text.startswith(start)
    seconds, unit = text.removeprefix(start).split()
    assert 0 < int(seconds) <= 3600
    assert unit == "s"


def test_failed_refresh_that_ends_the_login_says_so(caplog: pytest.LogCaptureFixture) -> None:
    rejected = TokenErrorResponse(status=400, error="invalid_grant")
    level, text = log_of(caplog, rejected)
    assert level == "WARNING"
    assert text.endswith("api.digikey.com answered 400 (invalid_grant); login required")


@pytest.mark.parametrize(
    ("issuer", "host"),
    [("https://issuer.example", "issuer.example"), (None, "the provider")],
)
def test_host_of_a_provider_without_an_address_is_its_issuer(
    caplog: pytest.LogCaptureFixture, issuer: str | None, host: str
) -> None:
    by = replace(POLICY, provider=replace(DIGIKEY, token_endpoint="", issuer=issuer))
    away = NoAnswer(delivery=Delivery.NOT_SENT, reason="ConnectError")
    assert f"cannot connect to {host} (" in log_of(caplog, away, by)[1]


def test_refresh_that_brought_tokens_is_information(caplog: pytest.LogCaptureFixture) -> None:
    assert log_of(caplog, RESPONSE) == ("INFO", "connection c: refreshed")
