"""The keys of an issuer: read once, kept for a while, and read again at a bounded rate."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.identity_tokens_pyjwt import PyJwtIdentityTokens
from adapters.issuer_keys_httpx import FRESH_FOR, LONGEST_USE, READ_PAUSE, HttpxIssuerKeys
from domain.identity_token import TokenRefusedError
from domain.jwk_set import UnusableKeysError
from ports.identity_tokens import IssuerUnavailableError
from tests.client_keys import jwk_of
from tests.functions.keeper_rig import SetClock
from tests.issuers import DISCOVERY, KEY_ID, KEYS, Issuer, page, running_issuer
from tests.ports.asking import IMPATIENCE
from tests.ports.scripted_server import answer, stall

pytestmark = pytest.mark.anyio

TICK = timedelta(microseconds=1)
ONE_READ = [DISCOVERY, KEYS]
AWAY = answer("503 Service Unavailable")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Rig:
    """An issuer, its keys behind a clock that stands still, and tokens verified by them."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.clock = SetClock()
        self.keys = HttpxIssuerKeys(issuer.url, clock=self.clock)
        self._tokens = PyJwtIdentityTokens({issuer.url: self.keys})

    async def verify(self, kind: str = "rsa", key_id: str = KEY_ID) -> None:
        token = self.issuer.token(kind, header={"kid": key_id}).encode()
        assert (await self._tokens.claims_of(token))["iss"] == self.issuer.url

    def reads(self) -> int:
        """How often discovery and keys were read."""
        paths = self.issuer.paths
        assert paths == ONE_READ * (len(paths) // 2)
        return len(paths) // 2


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    with running_issuer() as issuer:
        yield Rig(issuer)


async def test_herd_shares_one_read(rig: Rig) -> None:
    await asyncio.gather(*(rig.verify() for _ in range(50)))
    assert rig.reads() == 1


async def test_read_goes_on_when_its_first_caller_leaves(rig: Rig) -> None:
    first, second = (asyncio.create_task(rig.verify()) for _ in range(2))
    # Both have begun, and wait for the read.
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    assert rig.reads() == 1


async def test_checklist_68_unknown_key_is_looked_for_at_a_bounded_rate(rig: Rig) -> None:
    await rig.verify()
    rig.clock.move(READ_PAUSE - TICK)
    for number in range(20):
        with pytest.raises(TokenRefusedError):
            await rig.verify(key_id=f"unknown-{number}")
    assert rig.reads() == 1
    rig.clock.move(TICK)
    for number in range(20):
        with pytest.raises(TokenRefusedError):
            await rig.verify(key_id=f"unknown-{number}")
    assert rig.reads() == 2
    await rig.verify()
    assert rig.reads() == 2


async def test_replaced_key_is_refused_and_its_successor_accepted(rig: Rig) -> None:
    await rig.verify()
    rig.issuer.publish(jwk_of("p256", kid="second"))
    rig.clock.move(READ_PAUSE)
    # The new `kid` makes the issuer's keys be read again.
    await rig.verify("p256", "second")
    assert rig.reads() == 2
    with pytest.raises(TokenRefusedError):
        await rig.verify()


async def test_checklist_68_withdrawn_key_is_refused_soon(rig: Rig) -> None:
    await rig.verify()
    rig.issuer.publish(jwk_of("p256", kid="second"))
    rig.clock.move(FRESH_FOR - TICK)
    await rig.verify()
    rig.clock.move(TICK)
    with pytest.raises(TokenRefusedError):
        await rig.verify()
    assert rig.reads() == 2


async def test_checklist_68_last_keys_are_used_for_an_hour_while_the_issuer_is_away(
    rig: Rig,
) -> None:
    await rig.verify()
    rig.issuer.pages[KEYS] = AWAY
    rig.clock.move(FRESH_FOR)
    await asyncio.gather(*(rig.verify() for _ in range(10)))
    assert rig.reads() == 2
    rig.clock.move(LONGEST_USE - FRESH_FOR - TICK)
    await rig.verify()
    rig.clock.move(TICK)
    with pytest.raises(IssuerUnavailableError) as away:
        await rig.verify()
    assert away.value.retry_after == READ_PAUSE.total_seconds()
    assert f"{rig.issuer.url}{KEYS}: status 503" in str(away.value)
    rig.issuer.publish(jwk_of("rsa", kid=KEY_ID))
    rig.clock.move(READ_PAUSE)
    await rig.verify()


async def test_clock_that_is_set_back_does_not_keep_keys(rig: Rig) -> None:
    await rig.verify()
    rig.issuer.publish(jwk_of("p256", kid="second"))
    rig.clock.move(-timedelta(days=1))
    with pytest.raises(TokenRefusedError):
        await rig.verify()


async def test_issuer_that_does_not_answer_is_given_up(rig: Rig) -> None:
    rig.issuer.pages[KEYS] = stall
    keys = HttpxIssuerKeys(rig.issuer.url, clock=rig.clock, limit=IMPATIENCE)
    with pytest.raises(IssuerUnavailableError, match=r"did not answer within 0\.3 s"):
        await keys.count()
    # The pause counts from the beginning of the read.
    with pytest.raises(IssuerUnavailableError):
        await keys.count()
    assert rig.reads() == 1


@pytest.mark.parametrize(
    ("keys_url", "why"),
    [
        pytest.param("http://keys.example/keys", "is not an https URL", id="http elsewhere"),
        pytest.param("file:///etc/passwd", "is not an https URL", id="a file"),
        pytest.param("https://a:b@keys.example/", "is not an https URL", id="a password"),
        pytest.param(None, "is not an https URL", id="missing"),
        pytest.param(1, "is not an https URL", id="a number"),
    ],
)
async def test_address_of_keys_is_safe(rig: Rig, keys_url: object, why: str) -> None:
    rig.issuer.pages[DISCOVERY] = page({"issuer": rig.issuer.url, "jwks_uri": keys_url})
    with pytest.raises(IssuerUnavailableError, match=why):
        await rig.keys.count()
    assert rig.issuer.paths == [DISCOVERY]


@pytest.mark.parametrize("change", ["/", "/tenant", None], ids=str)
async def test_checklist_65_discovery_document_of_another_issuer_is_refused(
    rig: Rig, change: str | None
) -> None:
    issuer = None if change is None else rig.issuer.url + change
    rig.issuer.pages[DISCOVERY] = page({"issuer": issuer, "jwks_uri": rig.issuer.url + KEYS})
    with pytest.raises(IssuerUnavailableError, match="is not exactly that of CALLERS"):
        await rig.keys.count()
    assert rig.issuer.paths == [DISCOVERY]


def test_issuer_elsewhere_names_no_keys_on_this_machine() -> None:
    keys = HttpxIssuerKeys("https://issuer.example", clock=SetClock())
    url = f"https://issuer.example{DISCOVERY}"
    document = {"issuer": "https://issuer.example", "jwks_uri": "http://127.0.0.1:6379/keys"}
    with pytest.raises(UnusableKeysError, match="is on this machine"):
        keys._keys_url(document, url)
    document["jwks_uri"] = "https://keys.example/keys"
    assert keys._keys_url(document, url) == "https://keys.example/keys"


async def test_number_of_keys_is_counted(rig: Rig) -> None:
    rig.issuer.publish(jwk_of("rsa", kid="1"), jwk_of("p256", kid="1"), {"kty": "oct", "kid": "2"})
    assert await rig.keys.count() == 2
    assert await rig.keys.count() == 2
    assert rig.reads() == 1
