"""The Upstash store: what it makes of scans, which tell some names twice and some pages none."""

import json
from base64 import b64encode
from collections.abc import Iterator

import pytest

from adapters.sealed_records import SealedRecords
from adapters.store_upstash import UpstashStore
from ports.store import StoreUnavailableError
from tests.ports.scripted_server import Arrived, Connection, Script, answer, serving
from tests.ports.store_contract import KEYS

pytestmark = pytest.mark.anyio


def base64(text: str) -> str:
    """Encode a text as the client library asks for it."""
    return b64encode(text.encode()).decode()


def page(cursor: str, *names: str) -> Script:
    """Answer with names that a scan has found, and where it goes on."""
    keys = [base64(f"oauth-callback:grant:{name}") for name in names]
    return answer("200 OK", json.dumps({"result": [base64(cursor), keys]}).encode())


def in_turn(scripts: Iterator[Script]) -> Script:
    """Answer one request after the other."""

    def script(connection: Connection) -> None:
        next(scripts)(connection)

    return script


async def scan(*pages: Script) -> tuple[list[str], list[Arrived]]:
    with serving(in_turn(iter(pages))) as server:
        store = UpstashStore(server.endpoint, "not-a-real-token", SealedRecords(KEYS))
        try:
            return [name async for name in store.connections()], server.requests
        finally:
            await store.close()


async def test_a_name_that_a_scan_tells_twice_is_named_once_and_a_page_without_any_is_no_end() -> (
    None
):
    found, asked = await scan(
        page("7", "one", "two"), page("5"), page("9", "two", "one"), page("0", "three", "one")
    )
    assert sorted(found) == ["one", "three", "two"]
    cursors = [json.loads(request.body)[1] for request in asked]
    assert cursors == ["0", "7", "5", "9"]


@pytest.mark.parametrize("result", [[], ["MA=="], ["MA==", "a"], ["MA==", [1]], "MA==", None, 5])
async def test_a_scan_that_makes_no_sense_means_that_the_store_is_unavailable(
    result: object,
) -> None:
    with pytest.raises(StoreUnavailableError):
        await scan(answer("200 OK", json.dumps({"result": result}).encode()))
