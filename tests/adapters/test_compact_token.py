"""Tokens in their compact form: a token is read, or refused, and nothing else happens."""

import json

from hypothesis import given
from hypothesis import strategies as st

from adapters.compact_token import MAX_TOKEN_BYTES, CompactToken
from adapters.strict_json import strict_object
from domain.identity_token import IdentityRule, TokenRefusedError, subject_of
from domain.jwk_set import JwkSet, UnusableKeysError
from tests.issuers import part

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["alg", "kid", "typ", "iss", "sub", "aud", "kty", "crv", "use", "key_ops"])
OBJECTS = st.dictionaries(NAMES, JSON | st.sampled_from(["ES256", "JWT", "EC", "P-256"]))


@given(header=OBJECTS, claims=OBJECTS)
def test_any_header_and_claims_are_read_or_refused(
    header: dict[str, object], claims: dict[str, object]
) -> None:
    texts = (json.dumps(each).encode() for each in (header, claims))
    try:
        parsed = CompactToken.parse(".".join([*map(part, texts), "eA"]).encode())
    except TokenRefusedError:
        return
    assert (parsed.algorithm, parsed.key_id) == (header["alg"], header["kid"])
    assert parsed.claims == claims
    rule = IdentityRule(issuer="a", audience="a", claims={"sub": "a"})
    assert rule.is_for(claims) in {True, False}
    assert len(rule.mismatches(claims)) <= 1
    assert subject_of(claims).isprintable()


@given(st.binary(max_size=60) | st.text("eyJ.=-_A", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(token: bytes) -> None:
    try:
        CompactToken.parse(token)
    except TokenRefusedError:
        return


@given(st.lists(OBJECTS | JSON, max_size=4))
def test_any_keys_are_read_or_refused(keys: list[object]) -> None:
    try:
        assert len(JwkSet.read({"keys": keys})) >= 1
    except UnusableKeysError:
        return


def test_longest_token_is_read() -> None:
    header, claims = part(b'{"alg": "ES256", "kid": "1"}'), part(b"{}")
    signature = "A" * (MAX_TOKEN_BYTES - len(f"{header}.{claims}."))
    assert CompactToken.parse(f"{header}.{claims}.{signature}".encode()).issuer == ""


def test_repeated_member_is_refused_at_any_depth() -> None:
    assert strict_object(b'{"a": {"b": 1, "c": 2}}') == {"a": {"b": 1, "c": 2}}
    assert strict_object(b'{"a": [{"b": 1, "b": 1}]}') is None
