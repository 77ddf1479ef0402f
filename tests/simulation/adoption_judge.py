"""Judges the adoptions of one connection: what may be replaced, and what must be left.

Its rules are those of `docs/adopt.md`, and not the code of rules 16 and 17.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Refreshing,
    tokens_of,
)
from domain.token_endpoint import TokenErrorResponse
from tests.domain.provider_model import INVALID_GRANT
from tests.simulation.adopted_logins import Login, in_charge, name_of, parts_of
from tests.simulation.exchanges import Call, Loss, RequestKind
from tests.simulation.oracle import is_unproven
from tests.simulation.promises import LEASE, SKEW, BrokenRuleError, Rule

NO_REASON = TokenErrorResponse(status=400, error=None)


@dataclass(kw_only=True)
class AdoptionJudge:
    """The judge of what takes the place of what, between logins."""

    logins: Mapping[str, Login]
    # Why tokens that were to be adopted could not be kept.
    losses: Counter[Loss] = field(default_factory=Counter)

    def changed(self, before: Grant, after: Grant, call: Call, now: datetime) -> None:
        """Judge what replaces a record. Raises BrokenRuleError."""
        match before, after:
            case Adopting(), Adopting() if _name(before) == _name(after):
                self._judge_wait(before, after, call)
            case _, Adopting():
                self._judge_beginning(before, after, call, now)
            case Adopting(), _:
                self._judge_end(before, after, call, now)
            case _:
                pass
        if not isinstance(after, Adopting | AuthorizationRequired):
            tokens = tokens_of(after)
            if tokens is not None and is_unproven(tokens):
                raise BrokenRuleError(Rule.UNPROVEN, f"{tokens.refresh_token} is stored")

    def _judge_wait(self, before: Adopting, after: Adopting, call: Call) -> None:
        """Judge a change before the proof: only rescued tokens may come to the earlier ones."""
        is_kept = _names(before.earlier) == _names(after.earlier)
        if not is_kept and call.kind is not RequestKind.RECOVERY:
            raise BrokenRuleError(Rule.NOT_KEPT, f"{after.earlier} waits, not {before.earlier}")

    def _judge_beginning(self, before: Grant, after: Adopting, call: Call, now: datetime) -> None:
        if call.kind is not RequestKind.ADOPT:
            raise BrokenRuleError(Rule.ADOPTED_OVER, f"for {call.kind.value}")
        current = in_charge(before.earlier if isinstance(before, Adopting) else before)
        is_waiting = isinstance(before, Adopting)
        if not after.replaces and (is_waiting or self.works(before, now)):
            raise BrokenRuleError(Rule.ADOPTED_OVER, f"{_name(after)} over {_names(before)}")
        if isinstance(current, Refreshing) and now < current.attempt.started_at + LEASE - 2 * SKEW:
            raise BrokenRuleError(Rule.ONE_ATTEMPT, f"{_name(after)} is adopted meanwhile")
        if _name(after) in parts_of(before):
            raise BrokenRuleError(Rule.TOKENS_FORWARD, f"{_name(after)} is adopted again")
        if not is_unproven(after.grant.tokens):
            raise BrokenRuleError(Rule.UNPROVEN, f"{after.grant.tokens.refresh_token} is stored")
        if tokens_of(after.earlier) != (None if current is None else current.tokens):
            raise BrokenRuleError(Rule.NOT_KEPT, f"{after.earlier} waits, not {current}")
        self._judge_account(before, after, after.grant)

    def _judge_account(self, before: Grant, adopting: Adopting, after: Grant) -> None:
        old, new = tokens_of(before), tokens_of(after)
        if adopting.replaces or old is None or new is None:
            return
        if None not in {old.subject, new.subject} and old.subject != new.subject:
            raise BrokenRuleError(Rule.OTHER_ACCOUNT, f"{new.refresh_token}")

    def works(self, grant: Grant, now: datetime) -> bool:
        """Whether a grant may work, as far as an instance can know."""
        current = in_charge(grant)
        if not isinstance(current, Authorized | Refreshing):
            return False
        token = str(current.tokens.refresh_token)
        history = self.logins[name_of(token)].history
        return not history.may_be_expired(token, now)

    # The end.

    def _judge_end(self, before: Adopting, after: Grant, call: Call, now: datetime) -> None:
        if _name(before) in parts_of(after):
            self._judge_proof(before, after, now)
        elif call.kind in {RequestKind.LOGIN, RequestKind.RECOVERY, RequestKind.REVOKE}:
            # It replaces both.
            return
        elif after != before.earlier:
            raise BrokenRuleError(Rule.NOT_KEPT, f"{after}, not {before.earlier}")
        else:
            self._judge_refusal(before, now)

    def _judge_proof(self, before: Adopting, after: Grant, now: datetime) -> None:
        tokens = tokens_of(after)
        assert tokens is not None
        if not is_unproven(tokens):
            self._judge_account(before.earlier, before, after)
            return
        is_lost = (
            isinstance(after, AuthorizationRequired) and after.cause is Cause.REFRESH_ANSWER_LOST
        )
        if not is_lost or self.works(before.earlier, now):
            raise BrokenRuleError(Rule.NOT_KEPT, f"{tokens.refresh_token} was refused")

    def _judge_refusal(self, before: Adopting, now: datetime) -> None:
        """Judge whether the refused tokens were worth nothing, and why."""
        history, token = self.logins[_name(before)].history, before.grant.tokens.refresh_token
        if self._is_let_go(before):
            return
        if any(history.held(now)) and not self.works(before.earlier, now):
            raise BrokenRuleError(Rule.LOST, f"an answer to {token} in memory")
        if history.provider.honours(str(token), now) and not history.provider.has_refused:
            raise BrokenRuleError(Rule.ENDED_WRONGLY, f"{token}, which is to be adopted")
        if not history.provider.honours(str(token), now):
            self.losses[history.explain(now)] += 1

    def _is_let_go(self, before: Adopting) -> bool:
        """Whether an answer gave no reason, or tokens are of another account."""
        login = self.logins[_name(before)]
        if not isinstance(before.grant, Refreshing):
            return False
        attempt = before.grant.attempt
        exchange = next((each for each in login.history.exchanges if each.attempt == attempt), None)
        if exchange is None:
            return False
        earlier = tokens_of(before.earlier)
        is_other = earlier is not None and earlier.subject not in {None, login.account}
        is_unwanted = is_other and login.is_named and not before.replaces
        return exchange.outcome == NO_REASON or (is_unwanted and exchange.is_delivered)

    def answered(self, login: Login, problem: str, *, is_dead: bool) -> None:
        """Judge the reason of a refusal; `is_dead` is whether nothing worked before."""
        provider, exchanges = login.history.provider, login.history.exchanges
        was_refused = any(each.outcome == INVALID_GRANT for each in exchanges)
        is_so = {
            "adoption-refused": was_refused or provider.has_refused,
            "refused-without-reason": any(each.outcome == NO_REASON for each in exchanges),
            "other-account": len({each.account for each in self.logins.values()}) > 1,
            "connection-in-use": not is_dead,
            "refresh-in-progress": True,
        }
        if not is_so.get(problem):
            raise BrokenRuleError(Rule.ADOPTION_ANSWER, f"{problem} for {login.token}")


def _name(adopting: Adopting) -> str:
    return name_of(str(adopting.grant.tokens.refresh_token))


def _names(grant: Grant) -> set[str]:
    return set(parts_of(grant))
