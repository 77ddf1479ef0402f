"""A signed link that begins a login of one connection, for a limited time."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.tokens import MAX_CLOCK_SKEW

# A message of the night is read in the morning. An alert of Friday is repeated by Monday.
LINK_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLink:
    """The content of a link. Its `id` marks it as used.

    `read` is as in `domain.authorization.PendingLogin`. A link that `renews` also works while the
    login works that was `read`.
    """

    connection: str
    id: str
    expires_at: datetime
    read: int | None = None
    renews: bool = False

    def is_valid(self, now: datetime) -> bool:
        """Whether the link has not expired. An expiry too far ahead is from a wrong clock."""
        return now < self.expires_at <= now + LINK_LIFETIME + MAX_CLOCK_SKEW

    def sign(self, key: bytes) -> str:
        """Return the link as one word of `A-Z a-z 0-9 - _ .`, with its expiry in seconds."""
        expires_at = int(self.expires_at.timestamp())
        # Earlier versions read a link that renews as one that does not.
        renews = [self.read, True] if self.renews else []
        read = [] if self.read is None else [self.read]
        members = [self.connection, self.id, expires_at, *(renews or read)]
        payload = _encode(json.dumps(members).encode())
        return f"{payload}.{_signature(payload, key)}"


def read_link(text: str, keys: Sequence[bytes]) -> LoginLink | None:
    """Return the link if one of the keys signed it; None otherwise."""
    if not text.isascii():
        return None
    payload, _, signature = text.rpartition(".")
    signatures = [_signature(payload, key) for key in keys]
    # Compare all, so that the time does not reveal which one differs.
    matches = [hmac.compare_digest(signature.encode(), known.encode()) for known in signatures]
    if not any(matches):
        return None
    # Links of earlier versions lack `read`, and most links `renews`.
    connection, id_, expires_at, *rest = json.loads(_decode(payload))
    return LoginLink(
        connection=connection,
        id=id_,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        read=rest[0] if rest else None,
        renews=len(rest) > 1,
    )


def _signature(payload: str, key: bytes) -> str:
    return _encode(hmac.digest(key, payload.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
