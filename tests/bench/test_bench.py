"""The benchmark runs, prints its rows, and reports a wrong count. Speed is not tested."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import page
from tests.bench.__main__ import exit_status
from tests.bench.figures import Spread, count_row, table, time_row
from tests.bench.key_timing import compared
from tests.system.lambda_artifact import require_lambda
from tests.system.redis_peer import require_redis
from tests.system.vercel_artifact import require_builder

REPOSITORY = Path(__file__).parents[2]
ROWS = (
    "bare GET: round trips",
    "fresh token in process: round trips",
    "fresh token over HTTP: round trips",
    "fresh token: provider calls",
    "fresh token in process: time",
    "fresh token over HTTP: time",
    "stampede: provider calls",
    "stampede: tokens served",
    "stampede: looks at the store, per worker and second",
    "stampede of 20: worst wait",
    "cold start to the first token: processor time",
    "cold start with ten channels of alerts: processor time",
    "Lambda, INIT: time",
    "Lambda, INIT and first answer from the table: time",
    "Lambda without bytecode, INIT: time",
    "Lambda without bytecode, INIT and first answer from the table: time",
    "command: arguments, JSON and URLs of the library: processor time",
    "command: token over http: processor time",
    "command: token over https: processor time",
    "key, last byte wrong",
    "key, two bytes too long",
    "key, nothing right",
    "control that ends early",
)


def test_benchmark_prints_its_rows_and_succeeds() -> None:
    require_redis()
    require_builder()
    require_lambda()
    command = [sys.executable, "-m", "tests.bench"]
    command += ["--rounds", "2", "--stampedes", "2", "--callers", "20", "--cold-starts", "1"]
    command += ["--comparisons", "100"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WRONG" not in run.stdout
    for row in ROWS:
        assert sum(line.startswith(row) for line in run.stdout.splitlines()) == 1, run.stdout


def test_wrong_count_fails_the_run_and_is_named() -> None:
    right = count_row("round trips", 40, base="fresh tokens", number=40)
    wrong = count_row("round trips", 41, base="fresh tokens", number=40)
    unexpected = count_row("provider calls", 1, base="fresh tokens", number=40, expected=0)
    assert exit_status([right]) == 0
    assert exit_status([right, wrong]) == 1
    assert exit_status([unexpected]) == 1
    assert "1.025, WRONG: has to be 1" in table([right, wrong])


def test_slow_times_fail_nothing() -> None:
    row = time_row("fresh token", [[9.0], [9.0]], base="bare GET", base_rounds=[[0.001], [0.001]])
    assert exit_status([row]) == 0
    assert row.cells[3] == "9000.00 (9000.00 to 9000.00)"


def test_missed_aim_is_named_and_fails_nothing() -> None:
    rows = [time_row("a", [[2.0]], base="b", base_rounds=[[1.0]], aim=aim) for aim in (1.99, 2.0)]
    assert [row.cells[3].partition(", ")[2] for row in rows] == ["aim 1.99: missed", "aim 2: met"]
    assert exit_status(rows) == 0


def test_ratio_is_of_what_met_the_same_load() -> None:
    row = time_row("fresh token", [[2.0], [20.0]], base="bare GET", base_rounds=[[1.0], [10.0]])
    assert row.cells[3] == "2.00 (2.00 to 2.00)"


def test_times_of_one_kind_differ_by_chance_and_times_of_another_do_not() -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    times = [[chance.gauss(mean, 1) for _ in range(2000)] for mean in (0, 0, 0.4)]
    probability, p = compared(times[0], times[1])
    assert abs(probability - 0.5) < 0.03
    assert p > 0.01
    probability, p = compared(times[2], times[0])
    # Of two normal ones that are two fifths of a deviation apart.
    assert 0.58 < probability < 0.65
    assert p < 1e-4


def test_times_that_are_all_the_same_do_not_differ() -> None:
    assert compared([1.0] * 500, [1.0] * 500) == (0.5, 1.0)
    assert compared([2.0] * 500, [1.0] * 500)[0] == 1.0


def test_spread_of_a_single_value_is_that_value() -> None:
    assert Spread.of([3.0]) == Spread(low=3.0, middle=3.0, high=3.0)


@pytest.mark.parametrize("more", [[], ["--hang"]], ids=["steady", "hanging"])
def test_soak_serves_everybody_and_succeeds(more: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench.soak", "--connections", "5", "--life", "4"]
    command += ["--rate", "20", "--seconds", "3", *more]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "refused by the provider: 0" in run.stdout


def test_load_serves_everybody_and_the_libraries_lose_the_logins() -> None:
    command = [sys.executable, "-m", "tests.bench.performance", "--stores", "sqlite"]
    command += ["--connections", "20", "--callers", "4", "--seconds", "1", "--soak", "1"]
    command += ["--logins", "1", "--stampede", "40"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [line.split(" | ") for line in run.stdout.splitlines() if line.startswith("| ")]
    found = {row[0].removeprefix("| "): row[1:] for row in rows}
    assert found["oauth-callback"] == ["1", "40 of 40", "0 of 1 |"]
    for library in ("Authlib", "requests-oauthlib"):
        calls, _, lost = found[library]
        assert int(calls) > 1
        assert lost == "1 of 1 |"
    assert [row[1] for row in rows if row[0] == "| sqlite"] == ["1", "4", "1", "4"]


def test_page_of_many_connections_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    page.main(["--connections", "101"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("2 round trips to the store")
    assert second.endswith("1 round trips to the store")
