"""`python -m functions.admin migrate`, and the doctor's findings, on a real Postgres."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from adapters.postgres_schema import SCHEMA, VERSION
from functions.admin.doctor.postgres import findings_of_postgres
from functions.admin.doctor.store import check_store
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.facts import PostgresFacts, ReplicaFacts
from tests.functions.commands import admin_process, environ_in, run_admin
from tests.patience import PATIENCE
from tests.ports.store_contract import pooler, postgres
from tests.system.local_server import local_server
from tests.system.postgres_peer import PASSWORD

NEW_TABLES = f"Created version {VERSION} of the tables in the Postgres database"


@pytest.fixture
def url() -> str:
    return postgres().new_database(is_empty=True)


def environ(url: str) -> dict[str, str]:
    return environ_in(Path(), SQLITE_PATH="", DATABASE_URL=url)


def test_migrate_reports_what_it_did(url: str, tmp_path: Path) -> None:
    status, out, _ = run_admin(environ(url), "migrate")
    assert (status, out.startswith(NEW_TABLES)) == (0, True)
    assert PASSWORD not in out
    status, out, _ = run_admin(environ(url), "migrate")
    assert (status, out.startswith("Nothing to do: ")) == (0, True)
    assert f"has version {VERSION} of the tables" in out
    status, out, _ = run_admin(environ_in(tmp_path), "migrate")
    assert (status, "needs no migration" in out) == (0, True)


def test_migrate_refuses_the_tables_of_a_later_version(url: str) -> None:
    run_admin(environ(url), "migrate")
    postgres().execute(f"UPDATE {SCHEMA} SET version = 99", url=url)  # noqa: S608 - a constant
    status, _, error = run_admin(environ(url), "migrate")
    assert status == 1
    assert "version 99" in error
    assert "DATABASE_URL" in error
    assert PASSWORD not in error


def test_a_killed_migration_leaves_nothing_and_can_be_repeated(url: str) -> None:
    with psycopg.connect(url) as other:
        # It waits for this name, after it has made other tables.
        other.execute("CREATE TABLE oauth_callback_counts ()")
        process = admin_process(environ(url), "migrate")
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not postgres().execute(waiting):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE.total_seconds())
        other.rollback()
    assert postgres().execute("SELECT to_regclass(%s)::text", [SCHEMA], url=url) == [(None,)]
    assert run_admin(environ(url), "migrate")[1].startswith(NEW_TABLES)


# The doctor


def findings(url: str) -> list[tuple[str, str]]:
    async def check() -> list[tuple[str, str]]:
        wiring = Wiring(Settings.from_environ(environ(url)))
        found = [(each.level.value, each.text) async for each in check_store(wiring)]
        await wiring.close()
        return found

    return asyncio.run(check())


def test_the_doctor_checks_a_database_through_a_pooler(url: str) -> None:
    run_admin(environ(url), "migrate")
    found = findings(pooler().url_of(url))
    assert [level for level, _ in found][:4] == ["ok", "warning", "ok", "ok"]
    texts = [text for _, text in found]
    assert "fsync is off" in texts[1]
    assert "pooler" in texts[2]
    assert "written and read back" in texts[3]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(lambda url: url, "there are no tables", id="empty"),
        pytest.param(lambda url: url.replace(PASSWORD, "wrong"), "password", id="password"),
    ],
)
def test_the_doctor_reports_a_database_that_cannot_be_used(
    url: str, change: Callable[[str], str], text: str
) -> None:
    faults = [text for level, text in findings(change(url)) if level == "fault"]
    assert len(faults) == 1
    assert text in faults[0]
    assert PASSWORD not in faults[0]


GOOD = PostgresFacts(
    version=VERSION,
    known_version=VERSION,
    is_read_only=False,
    synchronous_commit="on",
    fsync="on",
    isolation="read committed",
    is_encrypted=True,
    host="db.example",
    has_pooler=False,
    replicas=(),
)
WAITED_FOR = ReplicaFacts(
    name="standby at 10.0.0.2",
    is_streaming=True,
    missing=0,
    unapplied=0,
    lag=None,
    is_waited_for=True,
)


@pytest.mark.parametrize(
    ("change", "level"),
    [
        pytest.param({}, None, id="good"),
        pytest.param({"version": VERSION + 1}, "fault", id="later"),
        pytest.param({"version": -1}, "fault", id="earlier"),
        pytest.param({"is_read_only": True}, "fault", id="replica"),
        pytest.param({"synchronous_commit": "off"}, "warning", id="commit"),
        pytest.param({"isolation": "serializable"}, "warning", id="isolation"),
        pytest.param({"is_encrypted": False}, "warning", id="plain"),
        pytest.param({"is_encrypted": False, "host": "127.0.0.1"}, None, id="plain-loopback"),
        pytest.param({"is_encrypted": False, "host": "/run/postgresql"}, None, id="socket"),
        pytest.param({"is_encrypted": False, "host": "::1,/run,localhost"}, None, id="hosts-here"),
        pytest.param({"is_encrypted": False, "host": "::1,db.example"}, "warning", id="one-there"),
        pytest.param({"is_encrypted": False, "host": "127.db.example"}, "warning", id="digits"),
        pytest.param({"is_encrypted": False, "host": "localhost.example"}, "warning", id="name"),
        pytest.param({"replicas": (WAITED_FOR,)}, None, id="synchronous"),
        pytest.param(
            {"replicas": (WAITED_FOR,), "synchronous_commit": "local"}, "warning", id="not-waiting"
        ),
    ],
)
def test_each_weakness_of_a_server_is_one_finding(
    change: dict[str, object], level: str | None
) -> None:
    facts = PostgresFacts(
        **{name: change.get(name, getattr(GOOD, name)) for name in GOOD.__dataclass_fields__}  # type: ignore[arg-type]
    )
    levels = [found.level.value for found in findings_of_postgres(facts)]
    assert [each for each in levels if each != "ok"] == ([] if level is None else [level])


# `make run`


def test_make_run_creates_the_tables(url: str, tmp_path: Path) -> None:
    client = {"CLIENT_ID": "client", "CLIENT_SECRET": "not-a-real-secret"}
    with local_server(tmp_path, variables={**client, "DATABASE_URL": url}) as server:
        assert PASSWORD not in server.greeting
        versions = postgres().execute(f"SELECT version FROM {SCHEMA}", url=url)  # noqa: S608 - a constant
    assert versions == [(VERSION,)]
