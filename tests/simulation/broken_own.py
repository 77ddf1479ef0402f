"""Mutants of the rules for client credentials.

Each function replaces a real one while its patch lasts.
"""

from dataclasses import replace
from datetime import datetime

import pytest

from domain import first_tokens
from domain.commands import AskForAuthorization, Decision
from domain.grant import Cause, Grant, Requesting, Revoked, Revoking
from domain.policy import Policy
from domain.question import Question
from domain.token_endpoint import RevocationResult


def ask_for_a_login(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        first_tokens,
        "request_first_tokens",
        lambda grant, *_: Decision(
            grant=grant, command=AskForAuthorization(cause=Cause.NEVER_AUTHORIZED)
        ),
    )


def do_not_back_off_at_first(patch: pytest.MonkeyPatch) -> None:
    request = first_tokens.request_first_tokens

    def mutant(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
        failed = getattr(grant, "failure_state", None)
        if failed is not None and not isinstance(grant, Requesting):
            grant = replace(grant, failure_state=replace(failed, retry_at=now))
        return request(grant, question, policy, now)

    patch.setattr(first_tokens, "request_first_tokens", mutant)


def do_not_wait_for_a_revocation(patch: pytest.MonkeyPatch) -> None:
    request = first_tokens.request_first_tokens

    def mutant(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
        if isinstance(grant, Revoking):
            result = RevocationResult.FAILED
            grant = Revoked(at=grant.at, result=result, place=grant.place, login=grant.login)
        return request(grant, question, policy, now)

    patch.setattr(first_tokens, "request_first_tokens", mutant)


def take_a_replay_for_harmless(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy, _grant: Grant) -> Policy:
        return replace(
            self,
            provider=replace(for_grant(self, _grant).provider, refresh_ends_access_token=False),
        )

    for_grant = Policy.for_grant
    patch.setattr(Policy, "for_grant", mutant)
