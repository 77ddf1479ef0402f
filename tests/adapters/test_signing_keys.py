"""The signing keys of links and states: their parts, and their cost."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters import signing_keys
from adapters.sealing import derive_key, stretch_key
from adapters.signing_keys import SigningKeys

FIRST, SECOND = b"1" * 32, b"2" * 32


def keys(*encryption_keys: bytes, secret: str = "changeme") -> SigningKeys:
    return SigningKeys(encryption_keys, client_id="a-client", client_secrets=[secret])


def keys_of(purpose: str, *encryption_keys: bytes, secret: str = "changeme") -> Sequence[bytes]:
    return asyncio.run(keys(*encryption_keys, secret=secret).of(purpose))


def test_encryption_keys_sign_without_the_client_secret() -> None:
    made = keys_of("states", FIRST, SECOND, secret="one")
    assert made == keys_of("states", FIRST, SECOND, secret="another")
    # In their order: what either has signed is known while the keys are replaced.
    assert made == [*keys_of("states", FIRST), *keys_of("states", SECOND)]


def test_client_secret_alone_signs_by_way_of_a_slow_function() -> None:
    stretched = stretch_key("changeme", "oauth-callback signatures of a-client")
    assert keys_of("states") == [derive_key(stretched, "states")]


@pytest.mark.parametrize("encryption_keys", [(), (FIRST,)], ids=["client secret", "key"])
def test_each_purpose_has_keys_of_its_own(encryption_keys: tuple[bytes, ...]) -> None:
    purposes = ("states", "login links", "failures", "records")
    assert len({key for name in purposes for key in keys_of(name, *encryption_keys)}) == 4


def test_the_slow_function_runs_once_for_all_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []

    def counted(secret: str, salt: str) -> bytes:
        calls.append((secret, salt))
        return FIRST

    monkeypatch.setattr(signing_keys, "stretch_key", counted)

    async def run() -> None:
        signing = keys()
        impatient = asyncio.create_task(signing.of("states"))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(*(signing.of("states") for _ in range(5)))
        await signing.of("failures")

    asyncio.run(run())
    assert len(calls) == 1
