"""Mutants of rule 18, for access tokens that an API refuses.

Each function replaces a real one while its patch lasts.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import questions
from domain.rejections import Rejection


def serve_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(questions, "_is_rejected", lambda *_args: False)


def replace_every_refused_token_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(questions, "_answer_to_rejection", lambda *_args: None)


def wait_no_longer_than_at_first(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Rejection, *, first: timedelta, longest: timedelta) -> datetime:
        return self.at + min(first, longest)

    patch.setattr(Rejection, "replaceable_at", mutant)


def count_new_refresh_tokens_only(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Rejection, *_args: Any, **_kwargs: Any) -> Rejection:
        return self

    patch.setattr(Rejection, "after_refresh", mutant)


def wait_for_ever(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Rejection, *, first: timedelta, longest: timedelta) -> datetime:
        return self.at + first * 30 + longest

    patch.setattr(Rejection, "replaceable_at", mutant)
