"""Mutants of rules 16 and 17: the adoption of tokens of other programs.

Each function replaces a real one while its patch lasts.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain import adopting, effects
from domain import grant as grant_module
from domain.adopting import Obstacle
from domain.commands import Effect
from domain.events import AttemptEnded, TokensAdopted
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Proven,
    Refreshing,
    Unauthorized,
)
from domain.ledger import TOKENS_OF_ANOTHER_ACCOUNT
from domain.policy import Policy

_MUCH_LATER = timedelta(days=60)


def adopt_over_what_works(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopting, "_works", lambda *_args: False)


def adopt_without_a_proof(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, adopted: TokensAdopted, policy: Policy, now: datetime) -> Effect:
        effect = adopt(grant, adopted, policy, now)
        after = effect.grant
        if after is grant or not isinstance(after, Adopting):
            return effect
        return replace(effect, grant=after.grant)

    adopt = adopting.adopt
    patch.setattr(effects, "adopt", mutant)


def forget_the_earlier_grant(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant, adopted: TokensAdopted, policy: Policy, now: datetime) -> Effect:
        effect = adopt(grant, adopted, policy, now)
        if effect.grant is grant or not isinstance(effect.grant, Adopting):
            return effect
        return replace(effect, grant=replace(effect.grant, earlier=Unauthorized()))

    adopt = adopting.adopt
    patch.setattr(effects, "adopt", mutant)


def adopt_while_an_attempt_is_in_flight(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Proven, _policy: Policy, _now: datetime) -> Proven:
        return Authorized(tokens=grant.tokens) if isinstance(grant, Refreshing) else grant

    patch.setattr(adopting, "_idle", mutant)


def compare_no_accounts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopting, "_account_obstacle", lambda *_args: None)


def compare_no_accounts_of_a_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopting, "_subject", lambda _grant: None)


def forget_what_was_adopted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopting, "has_adopted", lambda *_args: False)


def forget_what_the_earlier_grant_came_from(patch: pytest.MonkeyPatch) -> None:
    def mutant(
        grant: Grant, adopted: TokensAdopted, policy: Policy, now: datetime
    ) -> Obstacle | None:
        if isinstance(grant, Adopting):
            grant = replace(grant, earlier=Unauthorized())
        return obstacle(grant, adopted, policy, now)

    obstacle = adopting.obstacle
    patch.setattr(adopting, "obstacle", mutant)


def take_a_failure_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Adopting, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
        effect = end_proof(grant, ended, policy, now)
        has_failed = isinstance(effect.grant, Adopting) and effect.grant.grant != grant.grant
        return adopting._refuse(grant, "failed") if has_failed else effect

    end_proof = adopting._end_proof
    patch.setattr(adopting, "_end_proof", mutant)


def keep_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Adopting, outcome: str, quote: str | None = None) -> Effect:
        effect = refuse(grant, outcome, quote)
        if outcome == TOKENS_OF_ANOTHER_ACCOUNT:
            return effect
        tokens = grant.grant.tokens
        refused = AuthorizationRequired(
            tokens=tokens,
            cause=Cause.REFRESH_TOKEN_REJECTED,
            client="client-1",
            since=now_of(grant),
        )
        return replace(effect, grant=refused)

    def now_of(grant: Adopting) -> datetime:
        assert isinstance(grant.grant, Refreshing)
        return grant.grant.attempt.started_at

    refuse = adopting._refuse
    patch.setattr(adopting, "_refuse", mutant)


def leave_the_proof_to_programs(patch: pytest.MonkeyPatch) -> None:
    proof_due_at = grant_module._proof_due_at

    def mutant(adopted: Authorized | Refreshing) -> datetime:
        return proof_due_at(adopted) + _MUCH_LATER

    patch.setattr(grant_module, "_proof_due_at", mutant)


def serve_nothing_before_the_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopting, "_servable", lambda *_args: None)
