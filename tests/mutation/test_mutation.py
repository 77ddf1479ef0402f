"""The page is up to date, and a run of the mutants shows which survive."""

import ast
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from tests.mutation.mutants import ROOT, Mutant, modules, mutants_of, unchanged
from tests.mutation.page import PAGE, page
from tests.mutation.run import SECONDS, Outcome, outcomes, tables
from tests.mutation.survivors import SURVIVORS, is_named
from tests.thorough import IS_THOROUGH

# Some two dozen mutants in a thorough run, else a few. `make mutate` has all of them.
EVERY = 250
SAMPLED = modules() if IS_THOROUGH else modules()[::6]


# All in one: to make the mutants takes seconds, and each process of the tests makes its own.
def test_the_page_counts_the_mutants_of_today_and_names_the_few_that_survive() -> None:
    assert PAGE.read_text() == page(), "write it again: see tests/mutation/page.py"
    mutants = [mutant for module in modules() for mutant in mutants_of(module)]
    assert len(SURVIVORS) <= 0.05 * len(mutants)
    named = [
        (mutant.module, mutant.place, mutant.before, mutant.after)
        for mutant in mutants
        if is_named(mutant)
    ]
    assert len(set(named)) == len(SURVIVORS)
    # With a fault in it, and no fault of grammar.
    for mutant in mutants[:: 1 if IS_THOROUGH else 10]:
        ast.parse(mutant.source, mutant.module)


def test_of_a_sample_of_the_mutants_those_survive_that_are_named() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutation", *SAMPLED, "--every", str(EVERY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ('"not sent"', '"not  sent"', Outcome.KILLED),
        ("class Delivery", "import nothing_of_the_kind\n\n\nclass Delivery", Outcome.KILLED),
        ("class Delivery", "class Delivery", Outcome.SURVIVED),
    ],
)
def test_a_mutant_is_killed_by_a_failure_and_where_it_cannot_even_be_imported(
    before: str, after: str, outcome: Outcome
) -> None:
    assert outcome_of(planted(before, after)) is outcome


def test_a_mutant_that_goes_on_for_ever_is_ended() -> None:
    endless = planted("class Delivery", "while True:\n    pass\n\n\nclass Delivery")
    assert outcome_of(endless, seconds=3) is Outcome.HUNG


def planted(before: str, after: str) -> Mutant:
    untouched = unchanged("domain.token_endpoint")
    assert before in untouched.source
    return replace(untouched, source=untouched.source.replace(before, after))


def outcome_of(mutant: Mutant, *, seconds: int = SECONDS) -> Outcome:
    # In a process that has not imported the domain yet.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_run, mutant, seconds).result()


def _run(mutant: Mutant, seconds: int) -> Outcome:
    [(_, outcome)] = outcomes([mutant], at_once=1, tests=tables(), seconds=seconds)
    return outcome
