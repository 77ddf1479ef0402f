"""Client assertions: what is signed, with which algorithm, and keys that cannot sign."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from adapters.client_assertion import LIFETIME, ClientAssertions
from adapters.entropy_system import SystemEntropy
from ports.client_key import ClientKeyError
from tests.client_keys import claims_of, pem_of

NOW = datetime(2026, 7, 4, 12, tzinfo=UTC)
TOKEN_ENDPOINT = "https://login.example/token"


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


def assertions(pem: str, **changes: Any) -> ClientAssertions:
    values = {"key_id": None, "audience": None, "algorithm": None} | changes
    return ClientAssertions(
        client_id="a-client", pem=pem, clock=FixedClock(), entropy=SystemEntropy(), **values
    )


def signed(pem: str, **changes: Any) -> str:
    return asyncio.run(assertions(pem, **changes).sign(TOKEN_ENDPOINT))


def test_the_claims_are_those_of_rfc_7523() -> None:
    claims = claims_of(signed(pem := pem_of("p256")), pem, audience=TOKEN_ENDPOINT)
    assert len(claims.pop("jti")) == 43
    assert claims == {
        "iss": "a-client",
        "sub": "a-client",
        "aud": TOKEN_ENDPOINT,
        "iat": NOW.timestamp(),
        "exp": (NOW + LIFETIME).timestamp(),
    }
    assert timedelta(seconds=60) == LIFETIME


def test_each_assertion_is_single_use() -> None:
    pem = pem_of("p256")
    one = assertions(pem)

    async def twice() -> list[str]:
        return [await one.sign(TOKEN_ENDPOINT) for _ in range(2)]

    first, second = (
        claims_of(text, pem, audience=TOKEN_ENDPOINT)["jti"] for text in asyncio.run(twice())
    )
    assert first != second


@pytest.mark.parametrize(
    ("kind", "asked", "algorithm"),
    [
        ("rsa", None, "RS256"),
        ("rsa", "PS256", "PS256"),
        ("p256", None, "ES256"),
        ("p256", "ES256", "ES256"),
        ("p384", None, "ES384"),
        ("p521", None, "ES512"),
        ("ed25519", None, "EdDSA"),
    ],
)
def test_the_algorithm_is_that_of_the_kind_of_key(
    kind: str, asked: str | None, algorithm: str
) -> None:
    assertion = signed(pem := pem_of(kind), algorithm=asked, key_id="key-1")
    assert jwt.get_unverified_header(assertion) == {
        "alg": algorithm,
        "kid": "key-1",
        "typ": "JWT",
    }
    assert claims_of(assertion, pem, audience=TOKEN_ENDPOINT)


def test_another_audience_and_no_key_id_are_possible() -> None:
    assertion = signed(pem := pem_of("p256"), audience="https://login.example")
    assert claims_of(assertion, pem, audience="https://login.example")
    assert "kid" not in jwt.get_unverified_header(assertion)


@pytest.mark.parametrize(
    ("pem", "algorithm", "fault"),
    [
        pytest.param("short-rsa", None, "must be an RSA key of 2048 bits", id="short"),
        pytest.param("k256", None, "must be an RSA key of 2048 bits", id="curve"),
        pytest.param("p256", "RS256", "SIGNING_ALG does not fit", id="algorithm"),
        pytest.param("p256", "ES384", "SIGNING_ALG does not fit", id="other-curve"),
        pytest.param("rsa", "EdDSA", "RS256, RS384, RS512, PS256", id="rsa-algorithm"),
        pytest.param(None, None, "CLIENT_PRIVATE_KEY cannot be read", id="damaged"),
    ],
)
def test_a_key_that_cannot_sign_is_a_fault_that_quotes_nothing(
    pem: str | None, algorithm: str | None, fault: str
) -> None:
    whole = pem_of(pem or "p256")
    text = whole if pem else whole.replace(whole[60:100], "A" * 40)
    one = assertions(text, algorithm=algorithm)
    for attempt in (one.check(), one.sign(TOKEN_ENDPOINT)):
        with pytest.raises(ClientKeyError, match=fault) as caught:
            asyncio.run(attempt)
        assert caught.value.__cause__ is None
        assert not any(line in str(caught.value) for line in text.splitlines()[1:-1])
    assert text.splitlines()[1] not in repr(one)
