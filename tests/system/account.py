"""Counts the results of many rounds of a test, which are printed at the end."""

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
    """The totals of a test. `blows` names the faults in the plural, `struck` counts each sort.

    `cut_off` callers had no answer, as their worker was killed. The provider refuses the tokens of
    `refused` callers. `put_off` callers are asked to retry. `calls` are requests to the provider.
    """

    blows: str
    rounds: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    callers: int = 0
    cut_off: int = 0
    served: int = 0
    refused: int = 0
    put_off: int = 0
    calls: int = 0
    logins: int = 0

    def answered(self, answers: Sequence[Answer], *, refused: int) -> None:
        """Count these answers."""
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
            f"served, {self.refused} of them refused by the provider; {self.put_off} callers "
            f"asked to retry, {self.cut_off} cut off"
        )


@contextmanager
def accounted(record_property: RecordProperty, blows: str) -> Iterator[Account]:
    """Keep an account, which is printed even if the test fails."""
    account, begun = Account(blows=blows), monotonic()
    try:
        yield account
    finally:
        record_property(COUNTED, f"{account}, {monotonic() - begun:.0f} s")
