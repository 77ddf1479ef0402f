"""The private key of a client in the environment. Imported where there is one.

Only the form of the key is checked here, because each request reads the settings. A request to the
provider loads the key.
"""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from textwrap import wrap

from functions.settings.environment import LAYOUT, EnvReader

_VARIABLE = "CLIENT_PRIVATE_KEY"
# RFC 7518 §3.1, RFC 8037 §3.1.
_ALGORITHMS = [
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
]
# RFC 7468. `openssl ecparam -genkey` writes the parameters of the curve in a block before the key.
_BLOCK = re.compile(r"-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_ENCRYPTED = re.compile(r"-----BEGIN ENCRYPTED |Proc-Type: *4, *ENCRYPTED")
_PEM_START = "-----BEGIN "
_PEM_LINE = 64
# DER (X.690 §8.1): a sequence, and a length in that many further bytes.
_SEQUENCE = 0x30
_LONG_LENGTH = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A key that signs client assertions (RFC 7523 §2.2), and what the assertions say.

    - `pem`: in PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    - `key_id`: the `kid` of the header (RFC 7515 §4.1.4). None: no `kid`.
    - `audience`: None for the token endpoint.
    - `algorithm`: None for the usual one of the kind of key.
    """

    pem: str = field(repr=False)
    key_id: str | None
    audience: str | None
    algorithm: str | None


def read_private_key(env: EnvReader) -> PrivateKey:
    """Read `CLIENT_PRIVATE_KEY` and the variables that belong to it."""
    return PrivateKey(
        pem=_pem(env),
        key_id=env.optional("CLIENT_KEY_ID"),
        audience=env.optional("CLIENT_ASSERTION_AUDIENCE", fits_a_header=True),
        algorithm=env.choice("TOKEN_ENDPOINT_AUTH_SIGNING_ALG", _ALGORITHMS),
    )


def _pem(env: EnvReader) -> str:
    text = env.optional(_VARIABLE, invisible=LAYOUT)
    if text is None:
        env.add_fault(
            f"{_VARIABLE} is not set, and is required with "
            "TOKEN_ENDPOINT_AUTH_METHOD=private_key_jwt"
        )
        return ""
    text = _decoded(text)
    if _ENCRYPTED.search(text):
        env.add_fault(f"{_VARIABLE} has a passphrase: remove it with openssl pkey")
        return ""
    # Line breaks are often escaped, or lost.
    block = _BLOCK.search(text.replace("\\r", "\n").replace("\\n", "\n"))
    body = "" if block is None else "".join(block[2].split())
    if block is None or not _is_der(body):
        env.add_fault(
            f"{_VARIABLE} must be a whole private key in PEM, or that in base64: make one with "
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
        )
        return ""
    lines = "\n".join(wrap(body, _PEM_LINE))
    return f"-----BEGIN {block[1]}-----\n{lines}\n-----END {block[1]}-----\n"


def _decoded(text: str) -> str:
    """Return the PEM of a text that is the PEM or its base64."""
    if _PEM_START in text:
        return text
    try:
        return b64decode("".join(text.split()), validate=True).decode("ascii")
    except ValueError:
        return ""


def _is_der(body: str) -> bool:
    """Whether a text is base64 of one whole sequence, and not cut."""
    try:
        data = b64decode(body, validate=True)
    except binascii.Error:
        return False
    if len(data) < 2 or data[0] != _SEQUENCE or b64encode(data).decode() != body:  # noqa: PLR2004 - a tag and a length
        return False
    if data[1] < _LONG_LENGTH:
        return len(data) == 2 + data[1]
    size = data[1] - _LONG_LENGTH
    return len(data) == 2 + size + int.from_bytes(data[2 : 2 + size], "big")
