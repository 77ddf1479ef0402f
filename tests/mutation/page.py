"""Write `docs/mutation.md`: how many faults the tests of the domain notice, and which they cannot.

python -m tests.mutation.page > docs/mutation.md
"""

from collections.abc import Iterator

from tests.mutation.mutants import ROOT, modules, mutants_of
from tests.mutation.survivors import SURVIVORS, Survivor

PAGE = ROOT / "docs/mutation.md"

_INTRODUCTION = """\
# Mutation testing of the domain

`make mutate` breaks `domain/` in one place at a time (another comparison, a number one higher, an
argument or a condition left out, a word changed, `min` for `max`) and runs the table tests in
`tests/domain` against it. A test must fail, unless the fault is one of those below, which show
nowhere.

The operators are [mutmut](https://mutmut.readthedocs.io)'s, and three of ours ([why no more of
it](adr/0018-mutation-testing.md)), applied to functions, properties, defaults, constants and words
alike. Left out are what is there for the type checker (annotations, imports, decorators, what
`isinstance` asks for), what nothing reaches (`assert_never`), the text of an error that tells
whoever changes the code what is wrong, and the text of f-strings, for which there is no operator.
The machines of the properties and the type checker are not asked: a fault has to be noticed by a
test whose name says what is wrong.

This is written from the code and from `tests/mutation/survivors.py`, by `python -m
tests.mutation.page > docs/mutation.md`; tests hold it against both, and a sample of the mutants is
run with all other tests.

## How many
"""


def page() -> str:
    """Write the page."""
    return "\n".join((_INTRODUCTION, *_counts(), "", *_survivors(), ""))


def _counts() -> Iterator[str]:
    yield "| module | mutants | killed | survive |"
    yield "|---|---|---|---|"
    totals = [0, 0]
    for module in modules():
        mutants, named = len(mutants_of(module)), len(_of(module))
        totals = [totals[0] + mutants, totals[1] + named]
        if mutants:
            yield f"| `{module}` | {mutants} | {mutants - named} | {named} |"
    mutants, named = totals
    share = f"{100 * (mutants - named) / mutants:.1f} %"
    yield f"| all | {mutants} | {mutants - named}, {share} | {named} |"


def _survivors() -> Iterator[str]:
    yield "## What survives, and why"
    for module in modules():
        if named := _of(module):
            yield f"\n### `{module}`\n"
            yield from (_line(survivor) for survivor in named)


def _line(survivor: Survivor) -> str:
    changed = f"`{survivor.before}` → `{survivor.after}`" if survivor.after else "left out"
    return f"- `{survivor.place}`: {changed}. {survivor.reason}"


def _of(module: str) -> list[Survivor]:
    return [survivor for survivor in SURVIVORS if survivor.module == module]


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a command prints
