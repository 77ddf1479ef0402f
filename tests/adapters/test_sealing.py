"""Sealed texts open with a key of the ring, in their own place, unchanged; and not otherwise."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from adapters.sealing import KEY_BYTES, KeyRing, SealError, derive_key, stretch_key

FIRST, SECOND, THIRD = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))
RING = KeyRing([FIRST])
CONTEXT = ("grant", "default", "etag")


def parts_of(sealed: str) -> tuple[str, str, bytes]:
    version, key_id, box = sealed.split(".")
    return version, key_id, urlsafe_b64decode(box)


def joined(version: str, key_id: str, box: bytes) -> str:
    return f"{version}.{key_id}.{urlsafe_b64encode(box).decode()}"


@given(plaintext=st.binary(), context=st.lists(st.text(), max_size=3))
def test_a_sealed_text_opens_in_its_context(plaintext: bytes, context: list[str]) -> None:
    assert RING.open(RING.seal(plaintext, *context), *context) == plaintext


def test_two_sealed_texts_differ() -> None:
    assert len({RING.seal(b"text", *CONTEXT) for _ in range(100)}) == 100


# Rotation


def test_the_first_key_of_the_ring_seals() -> None:
    sealed = KeyRing([SECOND, FIRST]).seal(b"text", *CONTEXT)
    assert KeyRing([SECOND]).open(sealed, *CONTEXT) == b"text"
    with pytest.raises(SealError):
        KeyRing([FIRST]).open(sealed, *CONTEXT)


def test_every_key_of_the_ring_opens() -> None:
    ring = KeyRing([THIRD, SECOND, FIRST])
    for key in (FIRST, SECOND, THIRD):
        assert ring.open(KeyRing([key]).seal(b"text", *CONTEXT), *CONTEXT) == b"text"


def test_a_removed_key_opens_nothing_and_the_error_names_the_reason() -> None:
    sealed = KeyRing([FIRST]).seal(b"text", *CONTEXT)
    with pytest.raises(SealError, match="a key that is not in the key ring"):
        KeyRing([SECOND, THIRD]).open(sealed, *CONTEXT)


# Tampering


@given(position=st.integers(min_value=0, max_value=12 + 4 + 16 - 1), bit=st.integers(0, 7))
def test_no_bit_of_nonce_ciphertext_or_tag_can_be_changed(position: int, bit: int) -> None:
    version, key_id, box = parts_of(RING.seal(b"text", *CONTEXT))
    changed = bytearray(box)
    changed[position] ^= 1 << bit
    with pytest.raises(SealError):
        RING.open(joined(version, key_id, bytes(changed)), *CONTEXT)


@pytest.mark.parametrize("length", [*range(32), 33, 64])
def test_nothing_can_be_cut_off_or_added(length: int) -> None:
    version, key_id, box = parts_of(RING.seal(b"text", *CONTEXT))
    with pytest.raises(SealError):
        RING.open(joined(version, key_id, (box + bytes(64))[:length]), *CONTEXT)


@pytest.mark.parametrize("version", ["", "v0", "v2", "V1", "v1 ", "v"])
def test_the_version_cannot_be_changed(version: str) -> None:
    _, key_id, box = parts_of(RING.seal(b"text", *CONTEXT))
    with pytest.raises(SealError, match="another version"):
        RING.open(joined(version, key_id, box), *CONTEXT)


def test_the_key_id_cannot_be_changed_to_that_of_another_key() -> None:
    ring = KeyRing([FIRST, SECOND])
    _, other, _ = parts_of(KeyRing([SECOND]).seal(b"", *CONTEXT))
    version, _, box = parts_of(ring.seal(b"text", *CONTEXT))
    with pytest.raises(SealError):
        ring.open(joined(version, other, box), *CONTEXT)


@given(sealed=st.text() | st.text().map(lambda rest: RING.seal(b"").rpartition(".")[0] + rest))
def test_a_text_that_was_never_sealed_is_refused(sealed: str) -> None:
    with pytest.raises(SealError):
        RING.open(sealed, *CONTEXT)


@pytest.mark.parametrize(
    "context",
    [
        (),
        ("grant",),
        ("grant", "default"),
        ("grant", "default", "etag", ""),
        ("login", "default", "etag"),
        ("grant", "other", "etag"),
        ("grant", "default", "other"),
        ("grant", "etag", "default"),
        ("grant", "default,etag"),
        ("grant", 'default", "etag'),
        ("grantdefault", "etag"),
    ],
    ids=repr,
)
def test_a_sealed_text_opens_in_no_other_context(context: tuple[str, ...]) -> None:
    sealed = RING.seal(b"text", *CONTEXT)
    with pytest.raises(SealError):
        RING.open(sealed, *context)


# Keys


def test_a_derived_key_depends_on_its_secret_and_on_nothing_else() -> None:
    # Records sealed by an earlier release must stay readable: the value is part of the format.
    # HKDF-SHA256 without salt (RFC 5869), computed apart from this code.
    expected = "2093f08f46a65a9759e57d4a93f3935280274c8dfac88c31d7cc98ef27b35e2c"
    assert derive_key("secret").hex() == expected
    assert len(derive_key("secret")) == KEY_BYTES
    assert len({derive_key(secret) for secret in ("secret", "Secret", "secret ", "", "é")}) == 5


def test_a_stretched_key_is_slow_to_compute() -> None:
    # Every instance of a deployment makes the same: the value is part of links that are under way.
    # scrypt (RFC 7914) with N = 2**14, r = 8 and p = 5, computed apart from this code.
    expected = Scrypt(salt=b"salt", length=KEY_BYTES, n=2**14, r=8, p=5).derive(b"secret")
    assert stretch_key("secret", "salt") == expected
    assert stretch_key("secret", "another salt") != expected
