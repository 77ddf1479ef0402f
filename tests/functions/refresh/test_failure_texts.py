"""The log of a refresh: connection, host, cause and next try."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse
from tests.domain.examples import DIGIKEY, MINUTE, POLICY, RESPONSE, UNAVAILABLE
from tests.functions.keeper_rig import EXPIRED, KeeperRig

pytestmark = pytest.mark.anyio

HOST = "api.digikey.com"
NEXT_TRY = r"; next try in ([1-9]\d{0,3}) s"
NOT_CONNECTED = NoAnswer(delivery=Delivery.NOT_SENT, reason="ConnectError")
STALLED = NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
TIMEOUT = NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout")


def error(status: int, code: str) -> TokenErrorResponse:
    return TokenErrorResponse(status=status, error=code)


@pytest.mark.parametrize(
    ("outcome", "cause", "end"),
    [
        (NOT_CONNECTED, f"cannot connect to {HOST} (ConnectError)", NEXT_TRY),
        (STALLED, f"nothing was sent to {HOST} (stalled before sending)", NEXT_TRY),
        (TIMEOUT, f"no usable answer from {HOST} (ReadTimeout)", NEXT_TRY),
        (UNAVAILABLE, f"{HOST} answered 503 (no reason given)", NEXT_TRY),
        (error(401, "invalid_client"), f"{HOST} answered 401 (invalid_client)", NEXT_TRY),
        (
            replace(RESPONSE, expires_in=timedelta(0)),
            f"{HOST} issued an access token that had already expired",
            NEXT_TRY,
        ),
        (error(400, "invalid_grant"), f"{HOST} answered 400 (invalid_grant)", "; login required"),
    ],
)
async def test_failed_refresh_is_a_warning_that_names_host_cause_and_next_try(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, cause: str, end: str
) -> None:
    level, text = await log_of(caplog, outcome)
    assert level == "WARNING"
    assert re.fullmatch(f"connection c: refresh failed: {re.escape(cause)}{end}", text)


@pytest.mark.parametrize(
    ("issuer", "host"),
    [("https://issuer.example", "issuer.example"), (None, "the provider")],
)
async def test_host_of_a_provider_without_an_address_is_its_issuer(
    caplog: pytest.LogCaptureFixture, issuer: str | None, host: str
) -> None:
    provider = replace(DIGIKEY, token_endpoint="", issuer=issuer)
    rig = KeeperRig(by=replace(POLICY, provider=provider))
    assert f"cannot connect to {host} (" in (await log_of(caplog, NOT_CONNECTED, rig))[1]


async def test_refresh_that_brought_tokens_is_information(caplog: pytest.LogCaptureFixture) -> None:
    assert await log_of(caplog, RESPONSE) == ("INFO", "connection c: refreshed")


async def log_of(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, rig: KeeperRig | None = None
) -> tuple[str, str]:
    """Refresh once, and return the level and the text of the last line."""
    rig = rig or KeeperRig()

    async def reply() -> Outcome:
        return outcome

    rig.server.reply = reply
    await rig.keep(EXPIRED)
    with caplog.at_level("INFO"):
        await rig.instance().token("c", min_ttl=MINUTE)
    last = caplog.records[-1]
    return last.levelname, last.getMessage()
