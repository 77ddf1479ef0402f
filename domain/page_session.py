"""Signed passes to the page: a session of a browser, and a link of the command line for one.

A pass is bound to an API key by a fingerprint of its digest, so that it ends with the key.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from domain.tokens import MAX_CLOCK_SKEW

# A working day.
SESSION_LIFETIME = timedelta(hours=8)
# Copied from a terminal into a browser at once.
SIGN_IN_LINK_LIFETIME = timedelta(minutes=10)
_PASS = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{1,11})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A session or a link: its own id, its end, and the fingerprint of its API key."""

    id: str
    expires_at: datetime
    key: str

    def is_valid(self, now: datetime, lifetime: timedelta) -> bool:
        """Whether it has not expired. An end too far ahead is from a wrong clock."""
        return now < self.expires_at <= now + lifetime + MAX_CLOCK_SKEW

    def sign(self, signing_key: bytes) -> str:
        """Return it as one word of `A-Z a-z 0-9 - _ .`, with its end in whole seconds."""
        text = f"{self.id}.{int(self.expires_at.timestamp())}.{self.key}"
        return f"{text}.{_mac(text, signing_key)}"


def read_pass(text: str, signing_keys: Sequence[bytes]) -> Pass | None:
    """Return the pass if one of the keys signed it; None otherwise."""
    if not text.isascii():
        return None
    signed, _, mac = text.rpartition(".")
    # Compare all, so that the time does not reveal which one differs.
    matches = [hmac.compare_digest(mac, _mac(signed, key)) for key in signing_keys]
    parts = _PASS.fullmatch(signed)
    if parts is None or not any(matches):
        return None
    id_, expires_at, key = parts.groups()
    return Pass(id=id_, expires_at=datetime.fromtimestamp(int(expires_at), UTC), key=key)


def key_fingerprint(digest: bytes) -> str:
    """Return a text that identifies an API key by its digest, and reveals neither of them."""
    return sha256(b"page " + digest).hexdigest()


def form_token(session: Pass, signing_key: bytes) -> str:
    """Return the token that the forms of a session have (OWASP's synchronizer token)."""
    return _mac(f"form {session.id}", signing_key)


def _mac(text: str, key: bytes) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()
