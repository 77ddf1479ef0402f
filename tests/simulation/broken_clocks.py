"""Rules about clocks that are broken on purpose."""

from datetime import datetime

import pytest

from adapters.store_memory import MemoryStore
from domain import logins as login_rules
from domain.events import LoginCompleted
from domain.grant import Grant, tokens_of
from domain.tokens import Tokens
from functions.login import logins
from ports.store import Due


def order_logins_by_their_clocks(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, completed: LoginCompleted) -> bool:
        tokens = tokens_of(grant)
        return tokens is not None and tokens.authorized_at >= completed.requested_at

    patch.setattr(login_rules, "_is_late", mutant)


def finish_what_was_begun_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(logins, "was_revoked_since", lambda _grant, _read: False)


def believe_what_is_ahead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tokens, "was_clock_ahead", lambda _tokens, _now: False)


def believe_what_is_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tokens, "_was_clock_behind", lambda _tokens: False)


def ask_for_nothing_later(patch: pytest.MonkeyPatch) -> None:
    due = MemoryStore.due

    async def mutant(
        store: MemoryStore, after: Due | None, before: datetime | None, *, limit: int
    ) -> list[Due]:
        return [] if before is None else await due(store, after, before, limit=limit)

    patch.setattr(MemoryStore, "due", mutant)
