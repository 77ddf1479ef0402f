"""The keys of an issuer: which of them can verify a signature, and which sets are refused."""

from typing import Any

import pytest

from domain.jwk_set import KEY_TYPES, MAX_KEYS, JwkSet, UnusableKeysError

RSA = {"kty": "RSA", "kid": "1", "n": "n", "e": "AQAB"}
P256 = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "x", "y": "y"}
P384 = {"kty": "EC", "crv": "P-384", "kid": "1", "x": "x", "y": "y"}
P521 = {"kty": "EC", "crv": "P-521", "kid": "1", "x": "x", "y": "y"}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "x"}


def read(*keys: Any) -> JwkSet:
    return JwkSet.read({"keys": list(keys)})


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        pytest.param(RSA, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], id="RSA"),
        pytest.param({**RSA, "alg": "PS256"}, ["PS256"], id="RSA for one algorithm"),
        pytest.param({**RSA, "crv": "P-256"}, [*KEY_TYPES][:6], id="RSA with a curve"),
        pytest.param(P256, ["ES256"], id="P-256"),
        pytest.param(P384, ["ES384"], id="P-384"),
        pytest.param(P521, ["ES512"], id="P-521"),
        pytest.param(ED25519, ["EdDSA"], id="Ed25519"),
        pytest.param({**P256, "alg": "ES384"}, [], id="another algorithm"),
        pytest.param({**P256, "use": "sig", "key_ops": ["verify"]}, ["ES256"], id="for signatures"),
    ],
)
def test_key_verifies_its_own_algorithms_only(key: dict[str, Any], algorithms: list[str]) -> None:
    keys = read(key)
    assert len(keys) == 1
    assert [name for name in KEY_TYPES if keys.find("1", name)] == algorithms
    assert not any(keys.find("2", name) for name in KEY_TYPES)


def test_no_algorithm_has_a_shared_secret() -> None:
    assert sorted(KEY_TYPES) == [
        *("ES256", "ES384", "ES512", "EdDSA"),
        *("PS256", "PS384", "PS512", "RS256", "RS384", "RS512"),
    ]


def test_only_public_members_are_returned() -> None:
    private = {"d": "secret", "p": "secret", "x5c": ["certificate"], "alg": "RS256"}
    assert read({**RSA, **private}).find("1", "RS256") == {"kty": "RSA", "n": "n", "e": "AQAB"}
    assert read({**P256, "d": "secret"}).find("1", "ES256") == {
        "kty": "EC",
        "crv": "P-256",
        "x": "x",
        "y": "y",
    }


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("no object", id="no object"),
        pytest.param({}, id="empty"),
        pytest.param({**RSA, "kid": None}, id="without an id"),
        pytest.param({**RSA, "kid": ""}, id="with an empty id"),
        pytest.param({**RSA, "kid": 1}, id="with a number for an id"),
        pytest.param({**RSA, "kty": ["RSA"]}, id="with a list for a type"),
        pytest.param({"kty": "oct", "kid": "1", "k": "secret"}, id="a shared secret"),
        pytest.param({**P256, "crv": "secp256k1"}, id="of another curve"),
        pytest.param({**ED25519, "crv": "X25519"}, id="for key agreement"),
        pytest.param({**P256, "crv": ["P-256"]}, id="with a list for a curve"),
        pytest.param({**P256, "crv": None}, id="without a curve"),
        pytest.param({**RSA, "use": "enc"}, id="for encryption"),
        pytest.param({**RSA, "key_ops": ["sign"]}, id="for signing"),
        pytest.param({**RSA, "key_ops": "verify"}, id="with a text for operations"),
    ],
)
def test_other_keys_are_ignored(other: Any) -> None:
    keys = read(other, {**RSA, "kid": "2"}, other)
    assert len(keys) == 1
    assert keys.find("2", "RS256") is not None
    with pytest.raises(UnusableKeysError, match=r"no key with a `kid`"):
        read(other)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param(None, "not a JSON object with `keys`", id="not JSON"),
        pytest.param({}, "not a JSON object with `keys`", id="without keys"),
        pytest.param({"keys": {"1": RSA}}, "not a JSON object with `keys`", id="an object of keys"),
        pytest.param({"keys": []}, "no key with a `kid`", id="no keys"),
        pytest.param({"keys": [RSA, {**RSA, "n": "m"}]}, "two keys with the id '1'", id="id twice"),
        pytest.param({"keys": [RSA] + [{}] * MAX_KEYS}, "more than 100 keys", id="too many"),
    ],
)
def test_set_that_is_not_usable_is_refused(document: Any, why: str) -> None:
    with pytest.raises(UnusableKeysError, match=why):
        JwkSet.read(document)


def test_most_keys() -> None:
    assert len(read(*({**RSA, "kid": str(number)} for number in range(MAX_KEYS)))) == MAX_KEYS


def test_keys_of_different_kinds_may_have_one_id() -> None:
    # RFC 7517 §4.5.
    keys = read(RSA, P256, P384)
    assert len(keys) == 3
    assert [keys.find("1", name) is None for name in ("RS256", "ES256", "ES384", "ES512")] == [
        *(False, False, False),
        True,
    ]
