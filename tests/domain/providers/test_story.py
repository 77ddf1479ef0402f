"""The same story with each preset: a login, two refreshes, and the end of the login."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from domain.commands import AskForAuthorization, Command, SendTokenRequest, Serve, TryLater
from domain.decide import apply, decide
from domain.events import AttemptEnded, LoginCompleted
from domain.grant import Cause, Grant, Inactive, Unauthorized
from domain.policy import Policy
from domain.provider import LifetimeStart, RotationKind
from domain.question import Question, RefreshRequested, TokenRequested
from domain.token_endpoint import RefreshTokenRequest
from domain.tokens import Tokens
from tests.domain.examples import DAY, SECOND, T0
from tests.domain.provider_model import INVALID_GRANT
from tests.domain.providers.played import PRESETS, PlayedProvider, issues_refresh_tokens

REFRESHABLE = [name for name in PRESETS if issues_refresh_tokens(name)]
FOR_EVER = [name for name in PRESETS if name not in REFRESHABLE]

each_refreshable = pytest.mark.parametrize("name", REFRESHABLE)


@dataclass
class Story:
    """A connection and the provider of a preset, at an instant."""

    provider: PlayedProvider
    now: datetime = T0
    grant: Grant = field(default_factory=Unauthorized)
    sent: int = 0

    @property
    def policy(self) -> Policy:
        return Policy(provider=self.provider.preset, client="client")

    @property
    def tokens(self) -> Tokens:
        assert not isinstance(self.grant, Inactive)
        tokens: Tokens = self.grant.tokens
        return tokens

    def log_in(self) -> None:
        response = self.provider.log_in(self.now)
        event = LoginCompleted(response=response, requested_at=self.now, read=self.grant)
        self.grant = apply(self.grant, event, self.policy, self.now).grant

    def ask(self, question: Question | None = None) -> Command:
        """Ask for a token, and refresh if that is the command."""
        question = question or TokenRequested(attempt_id=f"attempt-{self.sent}")
        decision = decide(self.grant, question, self.policy, self.now)
        self.grant = decision.grant
        if not isinstance(decision.command, SendTokenRequest):
            return decision.command
        self.sent += 1
        request = decision.command.request
        assert isinstance(request, RefreshTokenRequest)
        outcome = self.provider.refresh(request.refresh_token, self.now, rotates=True)
        event = AttemptEnded(attempt=decision.command.attempt, outcome=outcome)
        self.grant = apply(self.grant, event, self.policy, self.now).grant
        return self.ask(question)

    def let_expire(self) -> None:
        """Move to the end of the access token, or on by a day if it does not expire."""
        self.now = self.tokens.expires_at or self.now + DAY

    def refresh(self) -> Command:
        """Ask when a refresh is due."""
        self.let_expire()
        return self.ask(None if self.tokens.expires_at else self.report())

    def report(self) -> RefreshRequested:
        """A caller reports that the access token was refused."""
        return RefreshRequested(attempt_id=f"attempt-{self.sent}", asked_at=self.now)


def served(command: Command) -> str:
    assert isinstance(command, Serve)
    return command.tokens.access_token


def cause_of(command: Command) -> Cause:
    assert isinstance(command, AskForAuthorization)
    return command.cause


def logged_in(name: str, *, access_life: timedelta | None = None) -> Story:
    story = Story(provider=PlayedProvider.of(name, access_life=access_life))
    story.log_in()
    return story


@pytest.mark.parametrize("name", PRESETS)
def test_a_login_brings_a_token_that_works(name: str) -> None:
    story = logged_in(name)
    assert story.provider.works(served(story.ask()), story.now)
    assert story.sent == 0


@each_refreshable
@pytest.mark.parametrize("access_life", [None, timedelta(minutes=7)], ids=["declared", "stated"])
def test_two_refreshes_bring_tokens_that_work(name: str, access_life: timedelta | None) -> None:
    story = logged_in(name, access_life=access_life)
    seen = [served(story.ask())]
    refresh_tokens = [story.tokens.refresh_token]
    for _ in range(2):
        seen.append(served(story.refresh()))
        refresh_tokens.append(story.tokens.refresh_token)
        assert story.provider.works(seen[-1], story.now)
    assert story.sent == 2
    assert len({*seen}) == 3
    replaces = story.provider.preset.rotation.kind is not RotationKind.NONE
    assert len({*refresh_tokens}) == (3 if replaces else 1)
    assert story.tokens.generation == (2 if replaces else 0)


@each_refreshable
def test_a_refresh_ends_the_old_access_token_if_the_preset_states_it(name: str) -> None:
    story = logged_in(name, access_life=2 * DAY)
    first = story.tokens.access_token
    story.now += 2 * DAY - SECOND
    assert served(story.ask(story.report())) != first
    assert story.provider.works(first, story.now) is not (
        story.provider.preset.refresh_ends_access_token
    )


@each_refreshable
def test_a_refused_refresh_token_requires_a_login_and_is_not_sent_again(name: str) -> None:
    story = logged_in(name)
    story.refresh()
    story.provider.revoked = True
    refused = story.refresh()
    if story.tokens.expires_at is None:
        # The access token is still valid, so the refusal is not final (rule 6).
        assert isinstance(refused, TryLater)
        assert served(story.ask()) == story.tokens.access_token
        return
    # A provider that refuses early refreshes may mean that: the next tries decide (rule 6).
    for _ in range(5):
        if isinstance(refused, TryLater):
            story.now = refused.at
            refused = story.ask()
    assert cause_of(refused) is Cause.REFRESH_TOKEN_REJECTED
    sent = story.sent
    assert cause_of(story.ask()) is Cause.REFRESH_TOKEN_REJECTED
    assert story.sent == sent
    story.log_in()
    assert story.provider.works(served(story.ask()), story.now)


@each_refreshable
def test_a_spent_refresh_token_works_within_grace_only(name: str) -> None:
    story = logged_in(name)
    spent = str(story.tokens.refresh_token)
    story.refresh()
    rotation = story.provider.preset.rotation
    works = rotation.kind is RotationKind.NONE or rotation.grace > timedelta(0)
    assert story.provider.honours(spent, story.now) is works
    if rotation.grace:
        at_the_end = story.now + rotation.grace
        assert not story.provider.honours(spent, at_the_end)
        assert story.policy.replay_until(story.now) < at_the_end


@each_refreshable
def test_a_refresh_token_is_known_to_end_when_the_provider_ends_it(name: str) -> None:
    story = logged_in(name)
    preset = story.provider.preset
    if preset.refresh_token_lifetime is None:
        assert story.tokens.refresh_token_expires_at is None
        return
    story.refresh()
    end = story.tokens.refresh_token_expires_at
    assert end is not None
    assert story.provider.issued[str(story.tokens.refresh_token)].expires_at == end
    starts_at = T0 if preset.refresh_token_counted is LifetimeStart.LOGIN else story.now
    assert end == starts_at + preset.refresh_token_lifetime
    story.now = end
    assert cause_of(story.ask()) is Cause.REFRESH_TOKEN_EXPIRED
    assert story.provider.refresh(str(story.tokens.refresh_token), end, rotates=True) == (
        INVALID_GRANT
    )


def test_presets_without_refresh_tokens_are_few() -> None:
    assert [
        *("clickup", "github-oauth-app", "intercom", "monday", "polar", "tiktok-business")
    ] == FOR_EVER


@pytest.mark.parametrize("name", FOR_EVER)
def test_a_token_that_does_not_expire_is_served_for_ever(name: str) -> None:
    story = Story(provider=PlayedProvider.of(name, issues_refresh_tokens=False))
    story.log_in()
    first = served(story.ask())
    story.now += 3650 * DAY
    assert served(story.ask()) == first
    # There is nothing to refresh it with.
    assert served(story.ask(story.report())) == first
