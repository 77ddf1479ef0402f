"""Mutants of the rules of refresh.

Each function replaces a real one while its patch lasts.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import attempts, effects, error_meanings, expiries, failures, questions
from domain import decide as decide_module
from domain import grant as grant_module
from domain.commands import Answer, Decision, Effect, NothingDue
from domain.events import AttemptEnded
from domain.grant import (
    Active,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Failure,
    FailureState,
    Grant,
    Proven,
    Refreshing,
    Revoked,
    due_at,
)
from domain.policy import Policy
from domain.question import Question, RefreshDue, RefreshRequested
from domain.token_endpoint import NoAnswer, TokenErrorResponse, TokenResponse
from domain.tokens import Tokens
from tests.domain.examples import T0

NO_TIME = timedelta(0)
THREE_DAYS = timedelta(days=3)
SHORT_LEASE = timedelta(seconds=20)


def check_no_generation(patch: pytest.MonkeyPatch) -> None:
    keep_tokens = attempts._keep_tokens

    def mutant(
        grant: Active, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
    ) -> Grant:
        current = replace(attempt, generation=grant.tokens.generation)
        return keep_tokens(grant, current, response, policy, now)

    patch.setattr(attempts, "_keep_tokens", mutant)


def keep_what_was_revoked(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Proven, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
        if isinstance(grant, Revoked) and isinstance(ended.outcome, TokenResponse):
            tokens = Tokens.first(
                ended.outcome,
                generation=ended.attempt.generation + 1,
                issued_at=ended.attempt.started_at,
                provider=policy.provider,
            )
            tokens = replace(tokens, authorized_at=ended.attempt.authorized_at)
            kept = Authorized(tokens=tokens)
            return Effect(grant=kept, note=attempts._refresh_note(kept, now))
        return end_attempt(grant, ended, policy, now)

    end_attempt = attempts.end_attempt
    patch.setattr(effects, "end_attempt", mutant)
    patch.setattr(effects, "late_tokens", lambda _grant, _event: None)


def revoke_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effects, "begin_revocation", lambda grant, _now: Effect(grant=grant))


def drop_the_late_answer(patch: pytest.MonkeyPatch) -> None:
    keep_tokens = attempts._keep_tokens

    def mutant(
        grant: Active, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
    ) -> Grant:
        if isinstance(grant, Refreshing) and grant.attempt.id == attempt.id:
            return keep_tokens(grant, attempt, response, policy, now)
        return grant

    patch.setattr(attempts, "_keep_tokens", mutant)


def hear_errors_from_anybody(patch: pytest.MonkeyPatch) -> None:
    end_attempt = attempts.end_attempt

    def mutant(grant: Proven, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
        if isinstance(grant, Refreshing) and not isinstance(ended.outcome, TokenResponse):
            ended = replace(ended, attempt=grant.attempt)
        return end_attempt(grant, ended, policy, now)

    patch.setattr(effects, "end_attempt", mutant)


def take_503_for_a_verdict(patch: pytest.MonkeyPatch) -> None:
    classify = error_meanings.classify

    def mutant(outcome: TokenErrorResponse | NoAnswer) -> Failure | None:
        failure = classify(outcome)
        return None if failure is Failure.UNAVAILABLE else failure

    patch.setattr(attempts, "classify", mutant)


def retry_at_once_after_unknown(patch: pytest.MonkeyPatch) -> None:
    retry_at = failures._retry_at

    def mutant(
        failure: Failure, count: int, attempt: Attempt, policy: Policy, at: datetime
    ) -> datetime:
        if failure is Failure.UNKNOWN:
            return at
        return retry_at(failure, count, attempt, policy, at)

    patch.setattr(failures, "_retry_at", mutant)
    patch.setattr(failures, "_replay_at", lambda retry_at, *_args: retry_at)


def remember_no_doubt(patch: pytest.MonkeyPatch) -> None:
    add_failure = failures.add_failure

    def mutant(*args: Any, **kwargs: Any) -> FailureState:
        return replace(add_failure(*args, **kwargs), in_doubt_since=None)

    for module in (attempts, failures):
        patch.setattr(module, "add_failure", mutant)


def forget_a_verdict(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(questions, "_is_final_for", lambda *_args: False)


def take_a_verdict_for_final(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Refreshing, policy: Policy, now: datetime, *, quote: str | None) -> Effect:
        # With expired tokens, this was the last try.
        over = replace(grant.tokens, expires_at=grant.attempt.started_at)
        effect = refuse(replace(grant, tokens=over), policy, now, quote=quote)
        assert isinstance(effect.grant, Authorized | AuthorizationRequired)
        return replace(effect, grant=replace(effect.grant, tokens=grant.tokens))

    refuse = attempts._refuse
    patch.setattr(attempts, "_refuse", mutant)


def try_again_before_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "last_try_at", lambda _self, _tokens, refused_at: refused_at)


def have_a_verdict_stand_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(questions, "_is_final_for", lambda *_args: True)


def lease_less_than_the_timeout(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy) -> None:
        object.__setattr__(self, "lease", SHORT_LEASE)

    patch.setattr(Policy, "__post_init__", mutant)


def do_not_back_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "backoff", lambda *_args: timedelta(0))


def ignore_retry_after(patch: pytest.MonkeyPatch) -> None:
    add_failure = failures.add_failure

    def mutant(*args: Any, **kwargs: Any) -> FailureState:
        return add_failure(*args, **{**kwargs, "retry_after": None})

    for module in (attempts, failures):
        patch.setattr(module, "add_failure", mutant)


def answer_every_sweep_with(
    answer: Callable[[Active, datetime], Answer | None],
) -> Callable[[pytest.MonkeyPatch], None]:
    """Decide for the sweep by `answer` instead of the rules: None is a refresh."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        by_the_rules = questions._answer_without_refresh

        def mutant(
            grant: Active, question: Question, policy: Policy, now: datetime
        ) -> Answer | None:
            if isinstance(question, RefreshDue):
                return answer(grant, now)
            return by_the_rules(grant, question, policy, now)

        patch.setattr(questions, "_answer_without_refresh", mutant)

    return apply


def only_when_due(grant: Active, now: datetime) -> Answer | None:
    due = due_at(grant)
    return None if due is not None and due <= now else NothingDue()


def everything(_grant: Active, _now: datetime) -> Answer | None:
    return None


def forget_a_lapsed_attempt(patch: pytest.MonkeyPatch) -> None:
    def mutant(grant: Grant) -> datetime | None:
        return None if isinstance(grant, Refreshing) else due_at(grant)

    patch.setattr(grant_module, "due_at", mutant)
    patch.setattr(questions, "due_at", mutant)


def refresh_again_at_once(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy) -> None:
        object.__setattr__(self, "min_refresh_interval", timedelta(0))

    patch.setattr(Policy, "__post_init__", mutant)


def refresh_without_backing_off(patch: pytest.MonkeyPatch) -> None:
    answer_question = questions.answer_question

    def mutant(grant: Proven, question: Question, policy: Policy, now: datetime) -> Decision:
        if isinstance(question, RefreshRequested) and isinstance(grant, Authorized):
            grant = replace(grant, failure_state=None)
        return answer_question(grant, question, policy, now)

    patch.setattr(decide_module, "answer_question", mutant)


def send_what_has_expired(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(questions, "usable_refresh_token", lambda tokens, _now: tokens.refresh_token)


def let_a_grace_window_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "replay_from", Policy.lease_end)


def take_grace_for_endless(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy, in_doubt_since: datetime) -> datetime:
        return in_doubt_since + (timedelta(days=1000) if self.provider.rotation.grace else NO_TIME)

    patch.setattr(Policy, "replay_until", mutant)


def serve_what_is_not_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "serves_unstored_tokens", property(lambda _self: True))


def overlap_until_used(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy, attempt: Attempt) -> datetime:
        provider = self.provider
        plain = replace(provider, rotation=replace(provider.rotation, until_used=False))
        return replay_from(replace(self, provider=plain), attempt)

    replay_from = Policy.replay_from
    patch.setattr(Policy, "replay_from", mutant)


def refresh_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "refresh_from", lambda *_args: None)


def keep_the_rest_of_a_token(patch: pytest.MonkeyPatch) -> None:
    answer_without_refresh = questions._answer_without_refresh

    def mutant(grant: Active, question: Question, policy: Policy, now: datetime) -> Answer | None:
        plain = replace(policy.provider, refresh_only_within=None)
        return answer_without_refresh(grant, question, replace(policy, provider=plain), now)

    patch.setattr(questions, "_answer_without_refresh", mutant)


def forget_the_end_of_the_login(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(expiries, "_login_end", lambda *_args: None)


def keep_alive_what_no_refresh_extends(patch: pytest.MonkeyPatch) -> None:
    def mutant(tokens: Tokens) -> datetime | None:
        return min(
            found for found in (keep_alive_at(tokens), tokens.issued_at + THREE_DAYS) if found
        )

    keep_alive_at = Tokens.keep_alive_at
    patch.setattr(Tokens, "keep_alive_at", mutant)


def compare_generations_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tokens, "age", property(lambda tokens: (T0, tokens.generation)))
    patch.setattr(Attempt, "age", property(lambda attempt: (T0, attempt.generation)))
