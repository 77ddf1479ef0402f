"""google-auth, and all that takes its credentials: gspread, google-api-python-client."""

from __future__ import annotations

import time

from oauth_callback.adapters.refusals import LastServed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Any

    from google.oauth2.credentials import Credentials

    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token

    RefreshHandler = Callable[[object, Sequence[str]], tuple[str, datetime]]

_MARGIN = 225.0
"""Seconds that google-auth subtracts from an expiry (`google.auth._helpers.REFRESH_THRESHOLD`)."""
_LAST_MINUTE = 60.0
_UNLIMITED = 3600.0


def google_credentials(source: TokenSource) -> Credentials:
    """Return `google.oauth2.credentials.Credentials`."""
    from google.oauth2.credentials import Credentials

    # google-auth has no types.
    make: Any = Credentials
    credentials: Credentials = make(None, refresh_handler=google_refresh_handler(source))
    return credentials


def google_refresh_handler(source: TokenSource) -> RefreshHandler:
    """Return a `refresh_handler`. Each `Credentials` needs one of its own.

    The expiry that it returns is later than the true one by what google-auth subtracts from it. So
    google-auth calls it when the keeper has another token, and not at every request before that.
    """
    return _RefreshHandler(source)


class _RefreshHandler:
    """google-auth calls it when a token is about to expire, and after a 401.

    It does not pass on which, nor does it lock: at an expiry each thread calls. A thread that calls
    again before its last token was due has seen a 401.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._last = LastServed()

    def __call__(self, request: object, scopes: Sequence[str]) -> tuple[str, datetime]:  # noqa: ARG002
        last = self._last.get()
        is_refused = last is not None and time.time() < _due_at(last)
        token = self._last.set(self._source.get(last if is_refused else None))
        return token.access_token, _naive_utc(max(_due_at(token), time.time() + 1.0) + _MARGIN)


def _due_at(token: Token) -> float:
    """Return when google-auth has to call again, in epoch seconds."""
    if token.ask_again_at is not None:
        return token.ask_again_at
    if token.expires_at is not None:
        return token.expires_at - _LAST_MINUTE
    return time.time() + _UNLIMITED


def _naive_utc(at: float) -> datetime:
    """Return the time as google-auth compares it: in UTC, without a time zone."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(at, timezone.utc).replace(tzinfo=None)
