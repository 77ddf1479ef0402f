"""What many rounds of a test came to: counted, and printed when all tests are over."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeAlias

from tests.conftest import COUNTED
from tests.system.deployment import Answer

# pytest's fixture of that name.
RecordProperty: TypeAlias = Callable[[str, object], None]


@dataclass(slots=True, kw_only=True)
class Account:
    """The running totals of a test."""

    blows: str
    """What is done to the deployment, in the plural."""
    rounds: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """How many blows there were of which sort."""
    callers: int = 0
    cut_off: int = 0
    """Callers that got no answer, because the worker died that they had asked."""
    served: int = 0
    """Callers that were given a token."""
    refused: int = 0
    """Of these: those whose token the provider does not accept."""
    put_off: int = 0
    """Callers that were told to come back later."""
    calls: int = 0
    """Token requests that arrived at the provider."""
    logins: int = 0
    """How often a person was asked for."""

    def answered(self, answers: Sequence[Answer], *, refused: int) -> None:
        """Count what callers were told."""
        self.callers += len(answers)
        self.cut_off += sum(answer.status == 0 for answer in answers)
        self.served += sum(answer.status == 200 for answer in answers)
        self.put_off += sum(answer.status == 503 for answer in answers)
        self.refused += refused

    def __str__(self) -> str:
        sorts = ", ".join(f"{number} {sort}" for sort, number in self.struck.most_common())
        return (
            f"{self.rounds} rounds, {self.callers} callers, "
            f"{self.struck.total()} {self.blows}{sorts and f' ({sorts})'}, "
            f"{self.logins} logins needed, {self.calls} provider calls, {self.served} tokens "
            f"served, {self.refused} of them refused by the provider; {self.put_off} callers told "
            f"to come back, {self.cut_off} cut off"
        )


@contextmanager
def accounted(record_property: RecordProperty, blows: str) -> Iterator[Account]:
    """Keep an account, and have it printed, whatever becomes of the test."""
    account, begun = Account(blows=blows), monotonic()
    try:
        yield account
    finally:
        record_property(COUNTED, f"{account}, {monotonic() - begun:.0f} s")
