"""Rows in SQLite's tables that were never ours disturb no other connection."""

# ruff: noqa: S608 - the statements are the tests' own

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from domain.grant import Moved
from functions.admin.reseal import Resealing
from tests.functions.admin.test_admin_move import GRANT, Place, file, place, source
from tests.functions.conftest import Deploy
from tests.functions.deployment import idle
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.stores import NO_STORE

__all__ = ["file", "place", "source"]

# A column of any type may have these values.
TEXTS = {"nothing": "''", "number": "9e999", "long": "printf('%.*c', 3000000, 'x')"}
VALUES = {
    "bytes": "x'00ff'",
    "no-utf-8": "CAST(x'c328' AS TEXT)",
    "half-a-letter": "CAST(x'f09f' AS TEXT)",
    **TEXTS,
}
UNREADABLE = Resealing.UNREADABLE.value


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def spoil(path: Path, column: str) -> int:
    """Put each of the values into a column of a row; return the number of unreadable rows."""
    for name, value in VALUES.items():
        execute(
            path, f"UPDATE grants SET due_at = 1, {column} = {value} WHERE connection = '{name}'"
        )
    # Some are texts, and then the names of connections whose records are somebody else's.
    return {"connection": len(TEXTS), "due_at": 0}.get(column, len(VALUES))


@pytest.mark.parametrize("column", ["connection", "etag", "sealed", "due_at"])
def test_operators_commands_go_on_with_the_others(source: Place, file: Path, column: str) -> None:
    source.keep(a=GRANT, z=GRANT, **dict.fromkeys(VALUES, GRANT))
    unreadable = spoil(Path(source.environ["SQLITE_PATH"]), column)
    status, lines, _ = source.run("reseal")
    assert (status != 0, lines[-1]) == (unreadable > 0, f"{UNREADABLE}: {unreadable}")
    status, _, error = source.run("export", str(file))
    assert (status != 0) == (unreadable > 0)
    assert error.count("cannot be read") == unreadable
    # The others, and what says how many there are.
    others = len(source.kept("a", "z")) + (len(VALUES) if column == "due_at" else 0)
    assert len(file.read_text().splitlines()) == others + 1
    assert {type(grant) for grant in source.kept("a", "z")} == {Moved}
    source.run("take-back", "--not-imported")
    assert source.kept("a", "z") == [GRANT, GRANT]


@pytest.mark.parametrize("column", ["connection", "etag", "sealed"])
def test_a_deployment_goes_on_with_the_others_and_takes_logins(
    deploy: Deploy, tmp_path: Path, column: str
) -> None:
    path = tmp_path / "grants.sqlite"
    before = deploy(**{**NO_STORE, "SQLITE_PATH": str(path)})
    idle(before, "idle")
    for name in VALUES:
        before.put(name, GRANT)
    spoil(path, column)
    # One that remembers nothing.
    deployment = deploy(**{**NO_STORE, "SQLITE_PATH": str(path)})
    swept = expect_json(deployment.sweep())
    assert (swept["refreshed"], swept["is_complete"]) == (1, True)
    for name in VALUES if column != "connection" else ():
        expect_problem(deployment.token(name), 500, "record-unreadable")
        expect_problem(deployment.verify(name), 500, "record-unreadable")
        deployment.log_in(name)
        expect_token(deployment.token(name))
    expect_token(deployment.token("idle"))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_logins_and_counts_of_any_type_are_removed_by_the_sweep_and_harm_no_request(
    deploy: Deploy, tmp_path: Path, value: str
) -> None:
    path = tmp_path / "grants.sqlite"
    deployment = deploy(**{**NO_STORE, "SQLITE_PATH": str(path), "FAILURE_LIMIT": "30"})
    deployment.log_in("c")
    execute(
        path,
        f"INSERT INTO logins VALUES ({value}, {value}, {value}, {value})",
        f"INSERT INTO counts VALUES ({value}, {value}, {value})",
    )
    deployment.log_in("d")
    expect_token(deployment.token("d"))
    assert expect_json(deployment.sweep())["is_complete"]
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        assert database.execute("SELECT count(*) FROM counts").fetchone() == (0,)
        foreign = "sealed IS NULL OR CAST(sealed AS TEXT) NOT LIKE 'v1.%'"
        found = database.execute(f"SELECT count(*) FROM logins WHERE {foreign}")
        assert found.fetchone() == (0,)
