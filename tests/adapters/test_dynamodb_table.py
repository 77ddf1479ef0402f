"""Calls to a DynamoDB table: what is repeated, what is given up, and what is said then."""

import asyncio
import json
import re
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from threading import Event, Thread

import pytest

from adapters.dynamodb_table import MAX_CONCURRENCY, DynamoDbTable
from ports.store import Store, StoreUnavailableError
from tests.adapters.test_store_dynamodb import opened, write
from tests.adapters.test_upstash_reader import start_in_vain
from tests.ports.scripted_server import Connection, Script, answer, raw, serving, stall
from tests.ports.store_contract import dynamodb
from tests.ports.test_store_contract import NOTHING, NOW, PENDING
from tests.system.dynamodb_peer import DynamoDbPeer

pytestmark = pytest.mark.anyio

# What AWS may quote, and nobody else may.
MARK = "TextThatIsNotRepeated"
# Nobody waits this long unless something has failed.
PATIENCE = 20.0
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def peer() -> DynamoDbPeer:
    return dynamodb()


# Tables that are not there, or made otherwise


async def failures_of(store: Store) -> dict[str, str]:
    """Say which operations fail, and how."""
    operations: dict[str, Callable[[], Awaitable[object]]] = {
        "load": partial(store.load, "default"),
        "swap": partial(write, store),
        "due": partial(store.due, NOW, limit=1),
        "put_login": partial(store.put_login, "key", PENDING),
        "take_login": partial(store.take_login, "key", taker="one", now=NOW),
    }
    said = {}
    for name, work in operations.items():
        try:
            await work()
        except StoreUnavailableError as error:
            said[name] = str(error)
    return said


OF_ITEMS = {"load", "swap", "put_login", "take_login"}


def made(**types: str) -> dict[str, object]:
    """Say what AttributeDefinitions and KeySchema are; the first one is the key of items."""
    [key, *_] = types
    return {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
        ],
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    }


def index(*keys: str, name: str = "due") -> dict[str, object]:
    schema = [
        {"AttributeName": key, "KeyType": kind}
        for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]
    projection = {"ProjectionType": "KEYS_ONLY"}
    return {
        "GlobalSecondaryIndexes": [
            {"IndexName": name, "KeySchema": schema, "Projection": projection}
        ]
    }


OTHERWISE: dict[str, tuple[dict[str, object], set[str], str]] = {
    "a key of another name": (made(pk="S", agenda="S", due_at="N"), OF_ITEMS, "pk|key element"),
    "a key of another type": (made(id="N", agenda="S", due_at="N"), OF_ITEMS, "id|key element"),
    "two keys": (
        {
            **made(id="S", sort="S", agenda="S", due_at="N"),
            "KeySchema": [
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "sort", "KeyType": "RANGE"},
            ],
        },
        OF_ITEMS,
        "sort|key element",
    ),
    "no index of that name": (index("agenda", "due_at", name="other"), {"due"}, "index: due"),
    "an index by something else": (
        {**made(id="S", kind="S", due_at="N"), **index("kind", "due_at")},
        {"due"},
        "kind",
    ),
    "an index in another order": (
        {**made(id="S", agenda="S", at="N"), **index("agenda", "at")},
        {"due"},
        "key schema element",
    ),
    "an index in no order": (
        {**made(id="S", agenda="S"), **index("agenda")},
        {"due"},
        "query conditions",
    ),
    "an index of another type": (
        made(id="S", agenda="S", due_at="S"),
        {"swap", "due"},
        "due_at|parameter type",
    ),
}


async def test_a_table_that_is_not_there_is_named_with_its_variable(peer: DynamoDbPeer) -> None:
    async with opened(peer, "no-such-table") as store:
        failures = await failures_of(store)
    assert failures.keys() == OF_ITEMS | {"due"}
    for said in failures.values():
        assert said.startswith("table 'no-such-table' (DYNAMODB_TABLE) does not exist in this")


@pytest.mark.parametrize("otherwise", OTHERWISE)
async def test_a_table_that_is_made_otherwise_is_said_to_be_and_where_to_look(
    peer: DynamoDbPeer, otherwise: str
) -> None:
    changes, failing, named = OTHERWISE[otherwise]
    table = peer.new_table(**changes)
    async with opened(peer, table) as store:
        failures = await failures_of(store)
    assert failures.keys() == failing
    for said in failures.values():
        before, _, how = said.partition(".md: ")
        assert before == (
            f"table {table!r} (DYNAMODB_TABLE) does not have the schema of docs/adr/0011-dynamodb"
        )
        assert re.search(named, how)


async def test_a_table_without_any_index_is_said_to_lack_it(peer: DynamoDbPeer) -> None:
    table = f"{peer.new_table()}-2"
    peer.client.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", **made(id="S"))
    async with opened(peer, table) as store:
        failures = await failures_of(store)
    assert failures.keys() == {"due"}
    assert re.search("have the schema of .*index: due", failures["due"])


# Refusals and silence, by a server that does what the test says


def refusal(code: str, message: str = MARK, *, status: str = "400 Bad Request") -> Script:
    members = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return amz(json.dumps(members).encode(), status=status)


def amz(body: bytes, *, status: str = "200 OK") -> Script:
    return answer(status, body, "x-amzn-RequestId: 1", content_type="application/x-amz-json-1.0")


def in_turn(scripts: Sequence[Script]) -> Script:
    rest: Iterator[Script] = iter(scripts)

    def script(connection: Connection) -> None:
        next(rest)(connection)

    return script


async def failure(peer: DynamoDbPeer, script: Script, *, requests: int) -> str:
    """Say how a load fails, after so many requests."""
    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            with pytest.raises(StoreUnavailableError) as caught:
                await store.load("default")
    assert len(server.requests) == requests
    assert MARK not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "requests", "said"),
    [
        ("ProvisionedThroughputExceededException", 2, "throttled"),
        ("ThrottlingException", 2, "throttled"),
        ("RequestLimitExceeded", 2, "throttled"),
        ("TransactionConflictException", 1, "TransactionConflictException"),
        ("AccessDeniedException", 1, "do not allow dynamodb:GetItem on table 'grants'"),
        ("ExpiredTokenException", 1, "AWS refused the credentials"),
        ("UnrecognizedClientException", 1, "AWS refused the credentials"),
        # Its message quotes the request's headers, the session token among them.
        ("InvalidSignatureException", 1, "AWS refused the credentials"),
        ("SomethingNewException", 1, "GetItem failed: SomethingNewException"),
    ],
)
async def test_a_refusal_is_repeated_only_where_that_may_help_and_says_what_to_do(
    peer: DynamoDbPeer, code: str, requests: int, said: str
) -> None:
    assert said in await failure(peer, refusal(code), requests=requests)


async def test_a_fault_of_the_servers_is_repeated_once(peer: DynamoDbPeer) -> None:
    script = refusal("InternalServerError", status="500 Internal Server Error")
    assert "InternalServerError" in await failure(peer, script, requests=2)


async def test_a_read_asks_for_what_was_written_last(peer: DynamoDbPeer) -> None:
    with serving(amz(b"{}")) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            await store.load("default")
    (request,) = server.requests
    assert json.loads(request.body)["ConsistentRead"] is True


async def test_who_is_throttled_once_is_answered_at_the_second_try(peer: DynamoDbPeer) -> None:
    scripts = [refusal("ThrottlingException"), amz(b"{}")]
    with serving(in_turn(scripts)) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            assert await store.load("default") == NOTHING


@pytest.mark.parametrize(
    "script",
    [
        answer("200 OK", f"<html>{MARK}</html>".encode(), content_type="text/html"),
        answer("200 OK", b"{}"),
        amz(b"[]"),
        amz(b"null"),
        amz(b'{"Item": []}'),
        amz(b'{"Item": {"etag": "x", "sealed": "y"}}'),
        # Nested too deep to be read.
        amz(b"[" * 100_000),
    ],
)
async def test_an_answer_that_makes_no_sense_is_no_record(
    peer: DynamoDbPeer, script: Script
) -> None:
    await failure(peer, script, requests=1)


@pytest.mark.parametrize(
    "found", [{}, {"Items": [{"pk": {"S": "grant#one"}}]}, {"Items": [{"id": {"N": "1"}}]}], ids=str
)
async def test_an_answer_without_what_was_asked_for_names_nothing_and_gives_nobody_a_login(
    peer: DynamoDbPeer, found: dict[str, object]
) -> None:
    with serving(amz(json.dumps(found).encode())) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            with pytest.raises(StoreUnavailableError, match=r"without items|without 'id'"):
                await store.due(NOW, limit=1)
            with pytest.raises(StoreUnavailableError, match="without attributes"):
                await store.take_login("key", taker="one", now=NOW)


@pytest.mark.parametrize(
    "script",
    [
        raw(b""),
        raw(b"+OK\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nx-amzn-RequestId: 1\r\n\r\n{"),
        answer("502 Bad Gateway", f"<html>{MARK}</html>".encode(), content_type="text/html"),
        Connection.reset,
    ],
)
async def test_an_answer_that_breaks_off_is_asked_for_once_more(
    peer: DynamoDbPeer, script: Script
) -> None:
    await failure(peer, script, requests=2)


async def test_nobody_waits_for_a_server_that_is_silent(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.aws_client._READ_LIMIT", timedelta(milliseconds=200))
    assert "ReadTimeoutError" in await failure(peer, stall, requests=2)


async def test_nobody_waits_for_both_tries_if_they_take_long(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dynamodb_table._LIMIT", timedelta(milliseconds=200))
    monkeypatch.setattr("adapters.aws_client._READ_LIMIT", timedelta(seconds=1))
    # The store is closed only when the second try is over, too.
    assert "in time" in await failure(peer, stall, requests=2)


async def test_a_server_that_is_not_there_is_unavailable(peer: DynamoDbPeer) -> None:
    async with opened(peer, "grants", endpoint_url=NOWHERE) as store:
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.load("default")


async def test_where_no_thread_can_be_started_the_table_is_unavailable(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = DynamoDbTable("grants", **peer.access)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", start_in_vain)
        with pytest.raises(StoreUnavailableError, match="can't start new thread"):
            await table.call("describe_table")
    table.close()
    # Which is the caller's fault.
    with pytest.raises(RuntimeError, match="is closed"):
        await table.call("describe_table")


async def test_the_loop_goes_on_while_a_call_waits(peer: DynamoDbPeer) -> None:
    asked, may_answer = Event(), Event()

    def script(connection: Connection) -> None:
        asked.set()
        may_answer.wait(PATIENCE)
        amz(b"{}")(connection)

    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            load = asyncio.ensure_future(store.load("default"))
            await asyncio.to_thread(asked.wait)
            assert not load.done()
            may_answer.set()
            assert await load == NOTHING


async def test_what_is_put_there_does_not_wait_for_those_who_read(peer: DynamoDbPeer) -> None:
    may_answer, asked = Event(), count()

    def script(connection: Connection) -> None:
        if next(asked) < MAX_CONCURRENCY:
            may_answer.wait(PATIENCE)
        amz(b"{}")(connection)

    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            loads = [
                asyncio.ensure_future(store.load("default")) for _ in range(2 * MAX_CONCURRENCY)
            ]
            while server.connections < MAX_CONCURRENCY:  # noqa: ASYNC110 - a server cannot say when
                await asyncio.sleep(0.01)
            await write(store)
            assert not any(load.done() for load in loads)
            may_answer.set()
            assert await asyncio.gather(*loads) == [NOTHING] * 2 * MAX_CONCURRENCY


async def test_a_page_that_is_not_the_last_is_followed_by_the_next(peer: DynamoDbPeer) -> None:
    key = {"id": {"S": "grant#two"}, "agenda": {"S": "refresh"}, "due_at": {"N": "2"}}
    pages = [
        {"Items": [{"id": {"S": "grant#one"}}, key], "LastEvaluatedKey": key},
        {"Items": [], "LastEvaluatedKey": key},
        {"Items": [{"id": {"S": "grant#three"}}]},
    ]
    script = in_turn([amz(json.dumps(page).encode()) for page in pages])
    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            assert await store.due(NOW, limit=5) == ["one", "two", "three"]
    asked = [json.loads(request.body) for request in server.requests]
    assert [query.get("ExclusiveStartKey") for query in asked] == [None, key, key]
    assert [query["Limit"] for query in asked] == [5, 3, 3]


async def test_all_names_are_read_page_by_page_and_consistently(peer: DynamoDbPeer) -> None:
    key = {"id": {"S": "grant#two"}}
    pages = [
        {"Items": [{"id": {"S": "grant#one"}}, key], "LastEvaluatedKey": key},
        {"Items": [], "LastEvaluatedKey": key},
        {"Items": [{"id": {"S": "grant#three"}}]},
    ]
    script = in_turn([amz(json.dumps(page).encode()) for page in pages])
    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            assert [name async for name in store.connections()] == ["one", "two", "three"]
    asked = [json.loads(request.body) for request in server.requests]
    assert [scan.get("ExclusiveStartKey") for scan in asked] == [None, key, key]
    assert [scan["ConsistentRead"] for scan in asked] == [True] * 3


def test_clients_of_one_process_share_the_description_of_dynamodb(peer: DynamoDbPeer) -> None:
    # It is megabytes, and each event loop has a client of its own.
    tables = [DynamoDbTable("grants", **peer.access) for _ in range(2)]
    one, other = (table._client._open().meta.service_model for table in tables)
    assert one._service_description is other._service_description
    for table in tables:
        table.close()


# What AWS's own variables tell


async def test_without_credentials_it_is_said_which_variables_tell_them(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nothing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nothing")
    none = {"aws_access_key_id": None, "aws_secret_access_key": None}
    async with opened(peer, "grants", **none) as store:
        with pytest.raises(StoreUnavailableError, match="AWS_SECRET_ACCESS_KEY"):
            await store.load("default")
    async with opened(peer, "grants", **none, region_name=None) as store:
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        with pytest.raises(StoreUnavailableError, match="AWS_REGION is not set"):
            await store.load("default")


async def test_a_file_of_credentials_that_is_not_there_is_unavailable(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where a container is given a role, and not the token for it.
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/example")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nothing")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    none = {"aws_access_key_id": None, "aws_secret_access_key": None}
    async with opened(peer, "grants", **none) as store:
        with pytest.raises(StoreUnavailableError, match="FileNotFoundError"):
            await store.load("default")
