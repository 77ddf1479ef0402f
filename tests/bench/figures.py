"""Measurements as rows of a table: a value, what it is relative to, and the ratio."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self, TypeAlias

Cells: TypeAlias = tuple[str, str, str, str]

HEAD: Cells = ("", "measured", "relative to", "ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median, and the quartiles: half of all lie between them."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        # Quartiles take two values; of a single one, all three are itself.
        some = values if len(values) > 1 else [*values, *values]
        low, middle, high = quantiles(some, n=4, method="inclusive")
        return cls(low=low, middle=middle, high=high)

    def text(self, unit: str = "", *, scale: float = 1) -> str:
        """Write it as ``median unit (low to high)``."""
        middle = f"{self.middle * scale:.2f}{unit}"
        return f"{middle} ({self.low * scale:.2f} to {self.high * scale:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `wrong` says that a count is not what it has to be."""

    cells: Cells
    wrong: bool = False


def time_row(
    what: str,
    rounds: Sequence[Sequence[float]],
    *,
    base: str,
    base_rounds: Sequence[Sequence[float]],
    aim: float | None = None,
) -> Row:
    """Relate times in seconds to those of the same round, which met the same load.

    `aim`: the most that the ratio should be. A missed one fails nothing.
    """
    ratios = [median(mine) / median(its) for mine, its in zip(rounds, base_rounds, strict=True)]
    relative_to = f"{base}: {_milliseconds(base_rounds)}"
    spread = Spread.of(ratios)
    reached = "" if aim is None else f", aim {aim:g}: {'missed' if spread.middle > aim else 'met'}"
    return Row(cells=(what, _milliseconds(rounds), relative_to, spread.text() + reached))


def count_row(what: str, measured: int, *, base: str, number: int, expected: int = 1) -> Row:
    """Relate a count to a number of events, of which each has to cost `expected`."""
    wrong = measured != expected * number
    ratio = f"{measured / number:g}" + (f", WRONG: has to be {expected}" if wrong else "")
    return Row(cells=(what, str(measured), f"{number} {base}", ratio), wrong=wrong)


def table(rows: Sequence[Row]) -> str:
    """Write the rows below a head, in columns."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _milliseconds(rounds: Sequence[Sequence[float]]) -> str:
    return Spread.of([seconds for one in rounds for seconds in one]).text(" ms", scale=1000)
