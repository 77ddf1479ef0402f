"""Write `docs/mutation.md`: the number of faults that the domain's tests notice, and the others.

python -m tests.mutation.page > docs/mutation.md
"""

from collections.abc import Iterator

from tests.mutation.mutants import ROOT, modules, mutants_of
from tests.mutation.survivors import SURVIVORS, Survivor

PAGE = ROOT / "docs/mutation.md"

_INTRODUCTION = """\
# Mutation testing of the domain

`make mutate` breaks `domain/` in one place at a time, and runs the table tests in `tests/domain`
against each *mutant*. A mutation is, for example, another comparison, a number one higher, an
argument or a condition left out, a changed word, or `min` for `max`. A test must fail, except for
the mutants listed below, which change no behaviour.

The operators are [mutmut](https://mutmut.readthedocs.io)'s and three more ([why only its
operators](adr/0018-mutation-testing.md)). They apply to functions, properties, defaults, constants
and words. These are left out:

- code for the type checker: annotations, imports, decorators, the types of `isinstance`;
- unreachable code (`assert_never`);
- texts of errors for developers;
- texts of f-strings, which have no operator.

The property tests and the type checker do not take part. A test whose name describes the fault must
detect it.

`python -m tests.mutation.page > docs/mutation.md` writes this page from the code and from
`tests/mutation/survivors.py`. Tests compare it with both, and run a sample of the mutants.

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
