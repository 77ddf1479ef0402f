"""Passes to the page: a session of a browser, and a link of the command line for one.

A pass is bound to an API key by a fingerprint of its digest, so that it ends with the key.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from domain.tokens import MAX_CLOCK_SKEW

# A working day.
SESSION_LIFETIME = timedelta(hours=8)
# Copied from a terminal into a browser at once.
SIGN_IN_LINK_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A session or a link: a secret of its own, its end, and the fingerprint of its API key."""

    secret: str = field(repr=False)
    expires_at: datetime
    key: str

    def is_valid(self, now: datetime, lifetime: timedelta) -> bool:
        """Whether it has not expired. An end too far ahead is from a wrong clock."""
        return now < self.expires_at <= now + lifetime + MAX_CLOCK_SKEW

    @property
    def id(self) -> str:
        """A name that does not reveal the secret."""
        return sha256(b"page pass " + self.secret.encode()).hexdigest()


def key_fingerprint(digest: bytes) -> str:
    """Return a text that identifies an API key by its digest, and reveals neither of them."""
    return sha256(b"page " + digest).hexdigest()
