"""No grant is lost that could be kept: thousands of seeds of everything that can go wrong."""

from collections.abc import Callable, Iterable, Mapping

import pytest

from functions.refresh.sweep_outcomes import SweepOutcome
from tests.simulation.clocks import run_clocks
from tests.simulation.exchanges import Loss
from tests.simulation.provider import KEPT_IDLE, KINDS
from tests.simulation.run import (
    SERVED,
    STORES,
    Tally,
    run_adoptions,
    run_chaos,
    run_doubt,
    run_idle,
    run_left,
    run_refusals,
    run_revocations,
)
from tests.thorough import IS_THOROUGH, times


def seeds(*, memory: int, dynamodb: int, served: int) -> Mapping[str, int]:
    """Return the seeds of each kind of provider, by the store.

    All but memory really evaluate what the adapter asks for. `served`: those that are servers.
    """
    return {"memory": memory, "dynamodb": dynamodb, **dict.fromkeys(SERVED, served)}


# A rule that is broken on purpose is found in 200 runs of all kinds (`test_mutants.py`).
CHAOS_SEEDS = seeds(memory=times(150, usually=36), dynamodb=times(30, usually=6), served=times(6))
DOUBT_SEEDS = seeds(memory=times(80, usually=20), dynamodb=times(15, usually=4), served=times(4))
IDLE_SEEDS = seeds(memory=times(40, usually=10), dynamodb=times(10, usually=3), served=times(4))
REVOCATION_SEEDS = seeds(memory=times(40, usually=10), dynamodb=times(5), served=times(2))
ADOPTION_SEEDS = seeds(memory=times(40, usually=12), dynamodb=times(5), served=times(2))
LEFT_SEEDS = times(8, usually=3)
CLOCK_SEEDS = times(40, usually=10)
REFUSAL_SEEDS = times(4)
# A fault of a store costs most where a refresh token is spent by its use.
SERVED_KINDS = KINDS if IS_THOROUGH else ("no-grace", "reuse-revokes", "short-overlap", "overlap")

over_each_store = pytest.mark.parametrize("store", STORES)


def over(kinds: Iterable[str]) -> pytest.MarkDecorator:
    """Run a test with each kind of provider, over each store."""
    rows = [(kind, store) for store in STORES for kind in kinds]
    chosen = [row for row in rows if row[1] not in SERVED or row[0] in SERVED_KINDS]
    return pytest.mark.parametrize(("kind", "store"), chosen)


@over(KINDS)
def test_no_fault_breaks_a_promise(kind: str, store: str) -> None:
    tally = run_all(run_chaos, kind, store, CHAOS_SEEDS[store])
    assert tally.answers["Serve"] > tally.runs
    # The sweep leaves a token alone that the provider would refuse to replace. Other stores than
    # memory have few runs, in which a sweep may come too late each time.
    is_sure = kind != "early-declared" and store == "memory"
    assert tally.swept[SweepOutcome.REFRESHED] or not is_sure
    if kind.startswith("no-rotation"):
        assert set(tally.losses) <= {Loss.EXPIRED, Loss.DAMAGED}


@over(KINDS)
def test_unknown_outcomes_break_no_promise(kind: str, store: str) -> None:
    tally = run_all(run_doubt, kind, store, DOUBT_SEEDS[store])
    assert tally.answers["Serve"] > tally.runs
    if kind.startswith("no-rotation"):
        assert not tally.losses


@over(KEPT_IDLE)
def test_idle_grant_is_kept_while_a_sweep_succeeds_in_time(kind: str, store: str) -> None:
    tally = run_all(run_idle, kind, store, IDLE_SEEDS[store])
    # The other stores have few runs, of which most may be disturbed.
    assert tally.swept[SweepOutcome.REFRESHED] > (tally.runs if store == "memory" else 0)
    assert tally.losses[Loss.EXPIRED] == 0


@pytest.mark.parametrize("kind", KEPT_IDLE if IS_THOROUGH else SERVED_KINDS)
def test_connections_that_a_sweep_leaves_are_refreshed_by_a_later_one(kind: str) -> None:
    tally = run_all(run_left, kind, "memory", LEFT_SEEDS)
    assert tally.swept[SweepOutcome.LEFT] >= tally.runs
    assert not tally.losses
    assert not tally.logins


@over(KINDS)
def test_revoked_tokens_are_neither_used_nor_kept_although_answers_come_late(
    kind: str, store: str
) -> None:
    tally = run_all(run_revocations, kind, store, REVOCATION_SEEDS[store])
    assert tally.answers["AskForAuthorization"] > tally.runs


@over(KINDS)
def test_adopted_tokens_cost_no_grant_that_works(kind: str, store: str) -> None:
    tally = run_all(run_adoptions, kind, store, ADOPTION_SEEDS[store])
    assert tally.answers["Serve"] > tally.runs
    if store == "memory":
        assert tally.answers["adopted"] > tally.runs / 2
        assert tally.answers["connection-in-use"] > tally.runs / 2


def test_api_that_refuses_every_token_costs_few_refreshes() -> None:
    tally = Tally()
    for kind in KINDS:
        tally.add(run_all(run_refusals, kind, "memory", REFUSAL_SEEDS))
    assert tally.answers["RejectedAgain"] > tally.runs
    assert tally.answers["Serve"] > tally.runs


@pytest.mark.parametrize("kind", KINDS)
def test_clock_that_was_wrong_by_years_and_is_corrected_costs_nothing(kind: str) -> None:
    tally = Tally()
    for seed in range(CLOCK_SEEDS):
        tally.add(run_clocks(kind, seed))
    assert tally.runs == CLOCK_SEEDS
    assert tally.logins > 2 * tally.runs


def run_all(run: Callable[[str, int, str], Tally], kind: str, store: str, seeds: int) -> Tally:
    tally = Tally()
    for seed in range(seeds):
        tally.add(run(kind, seed, store))
    print(f"{kind}, {store}: {tally}")  # noqa: T201 - how many ran, and what they met
    assert tally.runs == seeds
    return tally


@over_each_store
@pytest.mark.parametrize("run", [run_chaos, run_doubt, run_idle, run_revocations, run_adoptions])
def test_same_seed_gives_the_same_run(run: Callable[[str, int, str], Tally], store: str) -> None:
    assert run("overlap", 7, store) == run("overlap", 7, store)
