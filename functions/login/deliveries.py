"""Repeated redirects: by a second click, a reload, or software that opens links first.

A code is sent once (RFC 6749 §4.1.2). A repeated redirect waits for the result of the first one,
and gets the same result for ten minutes. Two entries in the store serve that: one that the first
delivery takes, and one with its result.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

from domain.authorization import (
    LOGIN_LIFETIME,
    AuthorizationResponse,
    PendingLogin,
    fingerprint,
    login_key,
)
from functions.login.login_texts import login_in_progress
from ports.clock import Clock
from ports.store import Store, StoreUnavailableError

# Twelve seconds: more than most providers take, and than a person waits.
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# One taker for all reads, so that each succeeds.
_READER = "reader"
_FAILED = "failed"


class Deliveries:
    """Recognizes repeated redirects, and stores their results."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def expect(self, state: str, pending: PendingLogin) -> None:
        """Store the entry for a state's first delivery. Raises StoreUnavailableError."""
        await self._store.put_login(first_delivery_key(state), replace(pending, code_verifier=None))

    async def is_first_or_same(self, response: AuthorizationResponse) -> bool:
        """Whether no other code arrived with this state. Raises StoreUnavailableError."""
        first = await self._store.take_login(
            first_delivery_key(response.state), taker=delivery_of(response), now=self._clock.now()
        )
        return first is not None

    async def store_result(
        self, response: AuthorizationResponse, pending: PendingLogin, outcome: str | None
    ) -> None:
        """Store the result of a delivery, None for a failure. Ignores an unavailable store."""
        result = replace(
            pending,
            code_verifier=None,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
            outcome=outcome or _FAILED,
        )
        with suppress(StoreUnavailableError):
            await self._store.put_login(_outcome_key(response), result)

    async def find(self, response: AuthorizationResponse) -> PendingLogin | None:
        """Return the login that a delivery completed. Raises StoreUnavailableError."""
        result = await self._find_result(response)
        return None if result is None or result.outcome == _FAILED else result

    async def wait(self, response: AuthorizationResponse) -> PendingLogin | None:
        """Wait for a login that another request completes; None if it fails.

        Raises ProblemError, StoreUnavailableError.
        """
        for pause in _PAUSES:
            if await self._find_result(response) is not None:
                return await self.find(response)
            await asyncio.sleep(pause)
        raise login_in_progress()

    async def _find_result(self, response: AuthorizationResponse) -> PendingLogin | None:
        key = _outcome_key(response)
        return await self._store.take_login(key, taker=_READER, now=self._clock.now())


def delivery_of(response: AuthorizationResponse) -> str:
    """Return a fingerprint of a state and its code."""
    return fingerprint(json.dumps([response.state, response.code]))


def first_delivery_key(state: str) -> str:
    """Return the store's key for a state's first delivery."""
    return login_key(f"first delivery of {state}")


def _outcome_key(response: AuthorizationResponse) -> str:
    return login_key(f"outcome of {delivery_of(response)}")
