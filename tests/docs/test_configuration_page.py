"""docs/configuration.md: its variables are those that the code reads."""

import json
import re

from functions.access.limits import WINDOW
from functions.settings.settings import DEFAULT_FAILURE_LIMIT, Settings
from tests.docs.pages import all_first_cells, blocks, page

PAGE = page("configuration.md")
KEY = "the-api-key-of-this-test"


def test_the_variables_listed_are_the_ones_that_are_read() -> None:
    read: set[str] = set()

    class Recording(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            read.add(key)
            return super().get(key, default)

    Settings.from_environ(Recording(CLIENT_ID="c", CLIENT_SECRET="s", API_KEY=KEY, SQLITE_PATH="x"))
    documented = all_first_cells(PAGE)
    assert len(documented) == len(set(documented))
    # The platform sets the first. Lambda reads the second, for more of the others.
    assert read - {"VERCEL_PROJECT_PRODUCTION_URL"} == set(documented) - {"SECRET_ID"}


def test_each_variable_has_a_value_and_a_meaning() -> None:
    rows = re.findall(r"^\| `[A-Z].*\|$", PAGE, re.MULTILINE)
    assert rows
    assert all(len(row.split(" | ")) == 3 for row in rows)


def test_the_entry_of_a_key_can_be_used() -> None:
    (entries,) = blocks("json", PAGE)
    environ = {"CLIENT_ID": "c", "CLIENT_SECRET": "s", "SQLITE_PATH": "x"}
    keys = Settings.from_environ({**environ, "API_KEYS": entries.replace("…", "0" * 64)}).api_keys
    assert [key.name for key in keys] == [entry["name"] for entry in json.loads(entries)]


def test_the_limit_is_the_one_of_the_code() -> None:
    limit, minutes = re.findall(r"requests in (\d+) minutes; default (\d+)", PAGE)[0][::-1]
    assert int(limit) == DEFAULT_FAILURE_LIMIT
    assert int(minutes) == WINDOW.total_seconds() / 60
