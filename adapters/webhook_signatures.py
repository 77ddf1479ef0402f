"""Signatures of Standard Webhooks, by their own library."""

from collections.abc import Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook


def sign(secrets: Sequence[str], *, message_id: str, at: datetime, body: str) -> str:
    """Return a signature for each secret, separated by spaces. `at` is in UTC."""
    return " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets)
