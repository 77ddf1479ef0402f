"""The logins of a connection that adopts tokens: each one is a login of its own at the provider."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.grant import Active, Adopting, Grant, Inactive, Moved, Refreshing, Unauthorized
from domain.token_endpoint import TokenResponse
from tests.simulation.answers import AnswerJudge
from tests.simulation.history import History
from tests.simulation.oracle import Oracle


@dataclass(eq=False, kw_only=True)
class Login:
    """A person's login, here or at another program.

    `account` is whose it is. `is_named` is whether the provider's answers name the account.
    """

    history: History
    oracle: Oracle
    judge: AnswerJudge
    account: str
    is_named: bool
    # The refresh token that the other program has.
    token: str = ""

    @classmethod
    def at(cls, history: History, *, account: str, is_named: bool) -> "Login":
        """Return a login with this history."""
        oracle, judge = Oracle(history=history), AnswerJudge(history=history)
        history.provider.subject = account if is_named else None
        return cls(history=history, oracle=oracle, judge=judge, account=account, is_named=is_named)

    def begin(self, now: datetime) -> TokenResponse:
        """Let the provider start it."""
        response = self.history.provider.log_in(now)
        assert response.refresh_token is not None
        self.token = response.refresh_token
        self.history.logged_in(self.token, now)
        return replace(response, subject=self.history.provider.subject)

    def use_elsewhere(self, now: datetime) -> None:
        """Let the other program refresh with its copy."""
        self.history.is_used_elsewhere = True
        self.history.provider.refresh(self.token, now, rotates=True)

    def leave(self, now: datetime) -> None:
        """Note that the record has none of its tokens any more."""
        history = self.history
        if isinstance(history.grant, Refreshing):
            history.in_flight_at = now
        history.grant, history.written_at = Unauthorized(), now
        for exchange in history.exchanges:
            exchange.is_superseded = True
        self.oracle.logged_in()
        # Sent again, its first token is spent, and nobody here remembers by whom.
        history.is_used_elsewhere |= any(each.response for each in history.exchanges)


def name_of(token: str) -> str:
    """Return the name of the login that has a token."""
    return token[: token.rindex(".") + 1]


def parts_of(grant: Grant) -> Mapping[str, Active]:
    """Return what a record has of each login, by its name: of two before a proof."""
    assert not isinstance(grant, Moved), "nothing is handed over here"
    if isinstance(grant, Adopting):
        return {**parts_of(grant.earlier), **parts_of(grant.grant)}
    if isinstance(grant, Inactive):
        return {}
    return {name_of(str(grant.tokens.refresh_token)): grant}


def in_charge(grant: Grant) -> Active | None:
    """Return what a record has of the login whose tokens are in use; None if there is none.

    That is the earlier one before a proof, and the adopted one where there is no earlier one.
    """
    if isinstance(grant, Adopting):
        return in_charge(grant.earlier) or grant.grant
    assert not isinstance(grant, Moved)
    return None if isinstance(grant, Inactive) else grant


def adopted_name(grant: Grant) -> str | None:
    """Return the name of the login whose tokens wait for their proof; None if none do."""
    return name_of(str(grant.grant.tokens.refresh_token)) if isinstance(grant, Adopting) else None
