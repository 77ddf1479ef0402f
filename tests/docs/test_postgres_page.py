"""docs/postgres.md: its command creates the tables that it lists, and its limits are the code's."""

import os
import re
import subprocess
import sys
from pathlib import Path

from adapters import postgres_pool
from adapters.postgres_schema import CONNECTIONS, COUNTS, LOGINS, SCHEMA
from functions.settings.settings import Settings
from functions.settings.store import PostgresSettings
from tests.docs.pages import ROOT, block, first_cells, page
from tests.functions.commands import environ_in
from tests.ports.store_contract import postgres

PAGE = page("postgres.md")


def test_the_command_creates_the_tables_that_are_listed() -> None:
    url = postgres().new_database(is_empty=True)
    command = block("sh", PAGE, having="migrate").replace(".venv/bin/python", sys.executable)
    environ = {**os.environ, **environ_in(Path(), SQLITE_PATH="", DATABASE_URL=url)}
    out = subprocess.check_output(["sh", "-c", command], cwd=ROOT, env=environ, text=True)
    assert out.startswith("Created version ")
    listed = first_cells("touches no other:\n", PAGE)
    assert set(listed) == {CONNECTIONS, COUNTS, LOGINS, SCHEMA}
    created = postgres().execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", url=url
    )
    assert {name for (name,) in created} == set(listed)


def test_the_addresses_can_be_set() -> None:
    addresses = re.findall(r"`(postgres://[^`]*HOST[^`]*|postgres:///[^`]*)`", PAGE)
    assert len(addresses) > 1
    for address in addresses:
        environ = environ_in(Path(), SQLITE_PATH="", DATABASE_URL=address)
        assert isinstance(Settings.from_environ(environ).store, PostgresSettings)


def test_the_limits_are_the_ones_of_the_code() -> None:
    assert f"opens at most {postgres_pool.MAX_CONNECTIONS} connections" in PAGE
