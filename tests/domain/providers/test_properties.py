"""Any preset, any order of events: no token is served that its provider has ended.

The stories are those of `tests.domain.test_properties`, with the provider that a preset describes.
Its responses state lifetimes, or leave them to the preset.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from domain.commands import Command, Serve
from domain.grant import Cause, Grant, Inactive
from domain.policy import Policy
from domain.question import Question, RefreshRequested
from tests.domain.examples import MINUTE, SECOND
from tests.domain.provider_model import Kind
from tests.domain.providers.played import PRESETS, PlayedProvider, kind_of
from tests.domain.test_properties import Step, World, visited_by
from tests.presets import preset_named
from tests.thorough import times


def by_kind() -> Mapping[tuple[Kind, bool], list[str]]:
    """Group the presets by how they rotate, and whether a refresh ends the old access token."""
    found: dict[tuple[Kind, bool], list[str]] = defaultdict(list)
    for name in PRESETS:
        preset = preset_named(name)
        found[kind_of(preset), preset.refresh_ends_access_token].append(name)
    return found


KINDS = by_kind()


class PresetWorld(World):
    """Instances and network around one grant, at the provider of a preset."""

    names: ClassVar[list[str]]
    provider: PlayedProvider

    @initialize(data=st.data())
    def start(self, data: Any) -> None:
        super().start(access_life=MINUTE)
        name = data.draw(st.sampled_from(self.names))
        self.provider = PlayedProvider.of(
            name,
            access_life=data.draw(st.sampled_from([None, SECOND, 5 * MINUTE, 30 * MINUTE])),
            issues_refresh_tokens=data.draw(st.sampled_from([True, True, True, False])),
        )
        self.policy = Policy(provider=preset_named(name), client="client-1")

    def steps(self) -> list[Step]:
        # A token that cannot be refreshed expires as well. A refresh of a valid access token, and
        # a caller meanwhile, meet a provider that ends the old one.
        return [
            *super().steps(),
            self.time_passes,
            *[self.a_caller_reports, self.a_program_asks] * 2,
        ]

    def a_caller_reports(self, data: st.DataObject) -> None:
        """Ask for a refresh of tokens that are not new."""
        self.now += MINUTE
        self.a_refresh_is_requested(data)

    def a_long_time_passes(self, data: st.DataObject) -> None:
        assert not isinstance(self.grant, Inactive)
        tokens = self.grant.tokens
        if tokens.keep_alive_at() is None or tokens.refresh_token_expires_at is None:
            self.now += timedelta(days=data.draw(st.sampled_from([4, 40])))
        else:
            super().a_long_time_passes(data)

    def decide(self, question: Question) -> Command:
        command = super().decide(question)
        if isinstance(command, Serve):
            token = command.tokens.access_token
            assert self.provider.works(token, self.now), "a token that does not work was served"
        return command

    def demanded_by(self, question: Question) -> timedelta:
        assert not isinstance(self.grant, Inactive)
        tokens = self.grant.tokens
        if isinstance(question, RefreshRequested) and tokens.refresh_token is None:
            return timedelta(0)
        demanded = super().demanded_by(question)
        if tokens.expires_at is None:
            return demanded
        # The keeper knows the lifetime that was stated, or the preset's.
        return min(demanded, (tokens.expires_at - tokens.issued_at) / 2)

    def check_cause(self, grant: Grant, cause: Cause) -> None:
        if cause is Cause.REFRESH_TOKEN_MISSING:
            assert not self.provider.issues_refresh_tokens
        else:
            super().check_cause(grant, cause)


def test_all_presets_take_part() -> None:
    assert sorted(name for names in KINDS.values() for name in names) == PRESETS
    assert len(KINDS) > 1


@pytest.mark.parametrize("group", KINDS, ids=[f"like-{names[0]}" for names in KINDS.values()])
def test_no_served_token_is_expired_at_the_provider(group: tuple[Kind, bool]) -> None:
    kind, ends_access_token = group
    world = type("PresetWorld", (PresetWorld,), {"names": KINDS[group]})
    # Only in rare stories is a token asked for that a refresh in flight has ended.
    examples = times(200 if ends_access_token else 80)
    assert Serve in visited_by(world, kind, examples=examples)
