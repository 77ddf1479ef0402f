"""Calls to a DynamoDB table: their retries, their limits and their errors."""

import asyncio
import json
import re
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from threading import Event, Thread

import pytest

from adapters.dynamodb_table import MAX_CONCURRENCY, DynamoDbTable
from ports.store import ConflictError, Store, StoreUnavailableError
from tests.adapters.test_store_dynamodb import opened, write
from tests.adapters.test_upstash_reader import start_in_vain
from tests.ports.scripted_server import (
    Connection,
    Script,
    answer,
    in_turn,
    raw,
    serving,
    stall,
)
from tests.ports.store_contract import dynamodb
from tests.ports.test_store_contract import NOTHING, NOW, PENDING, authorized
from tests.records import record_of
from tests.system.dynamodb_peer import TABLE, DynamoDbPeer

pytestmark = pytest.mark.anyio

# A text of AWS, which no error may repeat.
MARK = "TextThatIsNotRepeated"
# Longer than a busy machine needs.
PATIENCE = 20.0
NOWHERE = "http://127.0.0.1:1"
ID = {"AttributeName": "id", "AttributeType": "S"}


@pytest.fixture
def peer() -> DynamoDbPeer:
    return dynamodb()


# Missing tables, and other schemas


async def failures_of(store: Store) -> dict[str, str]:
    """Return the errors of the operations that fail."""
    operations: dict[str, Callable[[], Awaitable[object]]] = {
        "load": partial(store.load, "default"),
        "swap": partial(write, store),
        "due": partial(store.due, None, NOW, limit=1),
        "list_records": partial(store.list_records, None),
        "put_login": partial(store.put_login, "key", PENDING),
        "take_login": partial(store.take_login, "key", taker="one", now=NOW),
    }
    errors = {}
    for name, work in operations.items():
        try:
            await work()
        except StoreUnavailableError as error:
            errors[name] = str(error)
    return errors


OF_ITEMS = {"load", "swap", "put_login", "take_login"}
[LISTING] = [each for each in TABLE["GlobalSecondaryIndexes"] if each["IndexName"] == "listing"]


def schema_of(**types: str) -> dict[str, object]:
    """Return AttributeDefinitions and KeySchema. The first attribute is the key of items."""
    [key, *_] = types
    types |= {"listing": "S"}
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
            {"IndexName": name, "KeySchema": schema, "Projection": projection},
            LISTING,
        ]
    }


OTHER_SCHEMAS: dict[str, tuple[dict[str, object], set[str], str]] = {
    "a key of another name": (
        schema_of(pk="S", id="S", agenda="S", due_at="N"),
        OF_ITEMS,
        "pk|key element",
    ),
    "a key of another type": (
        schema_of(id="N", agenda="S", due_at="N"),
        OF_ITEMS | {"list_records"},
        "id|key element",
    ),
    "two keys": (
        {
            **schema_of(id="S", sort="S", agenda="S", due_at="N"),
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
        {**schema_of(id="S", kind="S", due_at="N"), **index("kind", "due_at")},
        {"due"},
        "kind",
    ),
    "an index in another order": (
        {**schema_of(id="S", agenda="S", at="N"), **index("agenda", "at")},
        {"due"},
        "key schema element",
    ),
    "an index in no order": (
        {**schema_of(id="S", agenda="S"), **index("agenda")},
        {"due"},
        "query conditions",
    ),
    "an index of another type": (
        schema_of(id="S", agenda="S", due_at="S"),
        {"swap", "due"},
        "due_at|parameter type",
    ),
}


async def test_a_missing_table_is_named_with_its_variable(peer: DynamoDbPeer) -> None:
    async with opened(peer, "no-such-table") as store:
        failures = await failures_of(store)
    assert failures.keys() == OF_ITEMS | {"due", "list_records"}
    for error in failures.values():
        assert error.startswith("table 'no-such-table' (DYNAMODB_TABLE) does not exist in this")


@pytest.mark.parametrize("schema", OTHER_SCHEMAS)
async def test_the_error_of_another_schema_names_the_document(
    peer: DynamoDbPeer, schema: str
) -> None:
    changes, failing, named = OTHER_SCHEMAS[schema]
    table = peer.new_table(**changes)
    async with opened(peer, table) as store:
        failures = await failures_of(store)
    assert failures.keys() == failing
    for error in failures.values():
        before, _, how = error.partition(".md: ")
        assert before == (
            f"table {table!r} (DYNAMODB_TABLE) does not have the schema of docs/adr/0011-dynamodb"
        )
        assert re.search(named, how)


async def test_the_error_of_a_table_without_an_index_names_it(peer: DynamoDbPeer) -> None:
    table = f"{peer.new_table()}-2"
    made = {**schema_of(id="S"), "AttributeDefinitions": [ID], "BillingMode": "PAY_PER_REQUEST"}
    peer.client.create_table(TableName=table, **made)
    async with opened(peer, table) as store:
        failures = await failures_of(store)
    assert failures.keys() == {"due", "list_records"}
    assert re.search("have the schema of .*index: due", failures["due"])
    assert re.search("have the schema of .*index: listing", failures["list_records"])


# Refusals and silence, of a scripted server


def refusal(code: str, message: str = MARK, *, status: str = "400 Bad Request") -> Script:
    members = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return amz(json.dumps(members).encode(), status=status)


def amz(body: bytes, *, status: str = "200 OK") -> Script:
    return answer(status, body, "x-amzn-RequestId: 1", content_type="application/x-amz-json-1.0")


async def failure(peer: DynamoDbPeer, script: Script, *, requests: int) -> str:
    """Return the error of a load after so many requests."""
    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            with pytest.raises(StoreUnavailableError) as caught:
                await store.load("default")
    assert len(server.requests) == requests
    assert MARK not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "requests", "error"),
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
async def test_only_a_temporary_refusal_is_repeated_and_the_error_names_the_cause(
    peer: DynamoDbPeer, code: str, requests: int, error: str
) -> None:
    assert error in await failure(peer, refusal(code), requests=requests)


async def test_a_fault_of_the_servers_is_repeated_once(peer: DynamoDbPeer) -> None:
    script = refusal("InternalServerError", status="500 Internal Server Error")
    assert "InternalServerError" in await failure(peer, script, requests=2)


async def test_a_read_is_consistent(peer: DynamoDbPeer) -> None:
    with serving(amz(b"{}")) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            await store.load("default")
    (request,) = server.requests
    assert json.loads(request.body)["ConsistentRead"] is True


async def test_a_call_that_is_throttled_once_succeeds_at_the_second_try(peer: DynamoDbPeer) -> None:
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
async def test_an_invalid_answer_is_an_error(peer: DynamoDbPeer, script: Script) -> None:
    await failure(peer, script, requests=1)


@pytest.mark.parametrize(
    "found", [{}, {"Items": [{"pk": {"S": "grant#one"}}]}, {"Items": [{"id": {"N": "1"}}]}], ids=str
)
async def test_an_answer_without_the_requested_members_is_an_error(
    peer: DynamoDbPeer, found: dict[str, object]
) -> None:
    with serving(amz(json.dumps(found).encode())) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            with pytest.raises(StoreUnavailableError, match=r"without items|without 'id'"):
                await store.due(None, NOW, limit=1)
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
async def test_a_call_whose_answer_breaks_off_is_repeated_once(
    peer: DynamoDbPeer, script: Script
) -> None:
    await failure(peer, script, requests=2)


async def test_a_call_to_a_silent_server_has_a_limit(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.aws_client._READ_LIMIT", timedelta(milliseconds=200))
    assert "ReadTimeoutError" in await failure(peer, stall, requests=2)


async def test_both_tries_together_have_a_limit(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dynamodb_table._LIMIT", timedelta(milliseconds=200))
    monkeypatch.setattr("adapters.aws_client._READ_LIMIT", timedelta(seconds=1))
    # Closing the store waits for the second try.
    assert "in time" in await failure(peer, stall, requests=2)


async def test_an_unreachable_server_is_unavailable(peer: DynamoDbPeer) -> None:
    async with opened(peer, "grants", endpoint_url=NOWHERE) as store:
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.load("default")


async def test_without_a_thread_the_table_is_unavailable(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = DynamoDbTable("grants", **peer.access)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", start_in_vain)
        with pytest.raises(StoreUnavailableError, match="can't start new thread"):
            await table.call("describe_table")
    table.close()
    # A fault of the caller.
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


async def test_a_write_does_not_wait_for_reads(peer: DynamoDbPeer) -> None:
    may_answer, held = Event(), list[Connection]()

    def script(connection: Connection) -> None:
        if len(held) < MAX_CONCURRENCY:
            held.append(connection)
            may_answer.wait(PATIENCE)
        amz(b"{}")(connection)

    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            loads = [
                asyncio.ensure_future(store.load("default")) for _ in range(2 * MAX_CONCURRENCY)
            ]
            # A connection may be open before its request has arrived.
            while len(held) < MAX_CONCURRENCY:  # noqa: ASYNC110 - a server cannot say when
                await asyncio.sleep(0.01)
            await write(store)
            assert not any(load.done() for load in loads)
            may_answer.set()
            assert await asyncio.gather(*loads) == [NOTHING] * 2 * MAX_CONCURRENCY


def pages() -> tuple[dict[str, object], Script]:
    """Return the key that continues the first two of three pages, and the pages."""
    key: dict[str, object] = {"id": {"S": "grant#two"}, "agenda": {"S": "refresh"}}
    answers: list[dict[str, object]] = [
        {"Items": [{"id": {"S": "grant#one"}}, key], "LastEvaluatedKey": key},
        {"Items": [], "LastEvaluatedKey": key},
        {"Items": [{"id": {"S": "grant#three"}}]},
    ]
    return key, in_turn([amz(json.dumps(page).encode()) for page in answers])


async def test_all_names_are_read_page_by_page_and_consistently(peer: DynamoDbPeer) -> None:
    key, script = pages()
    with serving(script) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            assert [name async for name in store.connections()] == ["one", "two", "three"]
    asked = [json.loads(request.body) for request in server.requests]
    assert [scan.get("ExclusiveStartKey") for scan in asked] == [None, key, key]
    assert [scan["ConsistentRead"] for scan in asked] == [True] * 3


def test_clients_of_one_process_share_the_model_of_dynamodb(peer: DynamoDbPeer) -> None:
    # It is megabytes, and each event loop has a client of its own.
    tables = [DynamoDbTable("grants", **peer.access) for _ in range(2)]
    calls = [table._client._botocore_calls() for table in tables]
    one, other = (each._client.meta.service_model for each in calls)
    assert one._service_description is other._service_description
    for table in tables:
        table.close()


# AWS's own variables


async def test_what_only_botocore_reads_is_left_to_botocore(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "of-the-test")
    async with opened(peer, peer.new_table()) as store:
        await write(store)
        with pytest.raises(ConflictError):
            await store.swap("default", record_of(authorized(1), "two"), expected_etag="other")
        assert (await store.load("default")).etag == "one"
        page = await store.list_records(None)
        assert [name for name, _ in page.records] == ["default"]
    with serving(in_turn([refusal("ThrottlingException"), amz(b"{}")])) as server:
        async with opened(peer, "grants", endpoint_url=server.endpoint) as store:
            assert await store.load("default") == NOTHING
    assert ["app/of-the-test" in request.all("user-agent")[0] for request in server.requests] == [
        True,
        True,
    ]


NO_CREDENTIALS = {"aws_access_key_id": None, "aws_secret_access_key": None}


async def error_without_credentials(peer: DynamoDbPeer, **access: None) -> str:
    async with opened(peer, "grants", **NO_CREDENTIALS, **access) as store:
        with pytest.raises(StoreUnavailableError) as caught:
            await store.load("default")
    return str(caught.value)


@pytest.mark.usefixtures("no_credentials")
async def test_the_error_of_missing_credentials_names_the_variables(peer: DynamoDbPeer) -> None:
    assert "AWS_SECRET_ACCESS_KEY" in await error_without_credentials(peer)
    assert "AWS_REGION is not set" in await error_without_credentials(peer, region_name=None)


@pytest.mark.usefixtures("no_credentials")
async def test_a_missing_file_of_credentials_is_unavailable(
    peer: DynamoDbPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Like a container with a role and without its token.
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/example")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nothing")
    assert "FileNotFoundError" in await error_without_credentials(peer)
