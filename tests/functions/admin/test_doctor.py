"""`python -m functions.admin doctor`: finds each fault of an environment, and no other."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest

from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Refreshing,
)
from domain.metadata import ServerMetadata, with_metadata
from domain.provider import LifetimeStart
from domain.wire_format import WireFormat
from functions.admin.doctor import command, grants
from functions.admin.doctor.clocks import compare_clocks, distance
from functions.admin.doctor.environment import check_environment
from functions.admin.doctor.findings import Finding, Level
from functions.admin.doctor.provider import check_endpoints
from functions.admin.doctor.store import findings_of
from functions.settings.settings import Settings
from ports.facts import RedisServerFacts, ReplicaFacts, SqliteFacts, UnreadFact
from ports.web import WebAnswer
from tests.client_keys import pem_of
from tests.functions.commands import ROOT
from tests.functions.deployment import API_KEY, CRON_SECRET, STATIC_STATE
from tests.functions.doctors import (
    Wrong,
    encryption_key,
    findings,
    healthy,
    http_date,
    keep,
    run_doctor,
    said,
    wrong,
)
from tests.functions.grants import DAY, authorized, fresh
from tests.functions.stores import (
    StorePeer,
    dynamodb_store,
    execute,
    redis_store,
    sqlite_store,
    upstash_store,
)
from tests.issuers import DISCOVERY, KEYS, running_issuer
from tests.ports.scripted_server import answer, serving, stall
from tests.presets import preset_named
from tests.system.dynamodb_peer import TABLE, DynamoDbPeer
from tests.system.loopback import free_port
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.stores import RestStore, rest_store

Environ = Callable[..., dict[str, str]]
NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def environ(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> Environ:
    """A factory of environments over one file, which has a login from the beginning."""
    keep(healthy(running_digikey, tmp_path))
    return lambda **changes: healthy(running_digikey, tmp_path, **changes)


@pytest.fixture(scope="module")
def redis() -> Iterator[RestStore]:
    with rest_store() as store:
        yield store


@pytest.fixture
def upstash(running_digikey: SimulatedDigiKeyPeer, redis: RestStore) -> Iterator[dict[str, str]]:
    """An environment over a Redis that is as it should be, and is so again after the test."""
    environ = healthy(running_digikey, redis.front.environ)
    execute(environ, "FLUSHALL")
    keep(environ)
    yield environ
    execute(environ, "ACL", "SETUSER", "default", "+@all")
    execute(environ, "CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.fixture
def dynamodb(running_digikey: SimulatedDigiKeyPeer) -> Iterator[dict[str, str]]:
    """An environment over a table that is as it should be."""
    with dynamodb_store() as store:
        tend(store)
        environ = healthy(running_digikey, store.environ)
        keep(environ)
        yield environ


def tend(store: StorePeer) -> None:
    """Make of the tests' table what the stack's is."""
    if (table := store.environ.get("DYNAMODB_TABLE")) is None:
        return
    client = dynamodb_client(store.environ)
    expiry = {"AttributeName": "delete_after", "Enabled": True}
    client.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
    recovery = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)


def dynamodb_client(environ: Mapping[str, str]) -> Any:
    return DynamoDbPeer.at(environ["AWS_ENDPOINT_URL_DYNAMODB"]).client


def key_entry(**members: str) -> str:
    return json.dumps([{"name": "ci", "sha256": "ab" * 32, **members}])


# A deployment that is as it should be.


@pytest.mark.parametrize("start", [sqlite_store, upstash_store, redis_store, dynamodb_store])
def test_nothing_is_wrong_with_a_healthy_deployment(
    running_digikey: SimulatedDigiKeyPeer, start: Any
) -> None:
    with start() as store:
        tend(store)
        environ = healthy(running_digikey, store.environ)
        keep(environ)
        found = findings(environ)
        assert wrong(found) == []
        assert {"store", "clock", "encryption", "sweep", "connections", "PROVIDER"} <= {
            each.about for each in found
        }
        # The doctor's own records are not connections, and do not change a second run.
        assert wrong(findings(environ)) == []


# Faults of the variables.

SOON, LATER = (f"{NOW + days * DAY:%Y-%m-%d}" for days in (29, 31))
EXPIRED_KEY = key_entry(expires="2020-01-31")
BOTH_KEYS = ",".join(map(encryption_key, ("x", "deployment")))


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        ({"API_KEYS": EXPIRED_KEY}, [("warning", "API_KEYS")], "has expired"),
        ({"API_KEYS": key_entry(expires=SOON)}, [("warning", "API_KEYS")], f"end of {SOON}"),
        ({"API_KEYS": key_entry(expires=LATER)}, [], ""),
        (
            {"API_KEY": None, "API_KEYS": EXPIRED_KEY},
            [("warning", "API_KEYS"), ("fault", "API keys")],
            "has expired",
        ),
        ({"CRON_SECRET": None}, [("warning", "CRON_SECRET")], "not set"),
        ({"CRON_SECRET": API_KEY}, [("warning", "CRON_SECRET")], "API key as well"),
        ({"CLIENT_SECRET": API_KEY}, [("warning", "CLIENT_SECRET")], "API key as well"),
        ({"PUBLIC_URL": None}, [("fault", "PUBLIC_URL")], "nobody can log in"),
        ({"OAUTH_STATE": STATIC_STATE}, [("warning", "OAUTH_STATE")], "remove it unless"),
        (
            {"PREVIOUS_CLIENT_SECRET": "the-old-secret-of-this-client"},
            [("warning", "PREVIOUS_CLIENT_SECRET")],
            "remove it once",
        ),
        ({"ENCRYPTION_KEYS": encryption_key("x")}, [("fault", "encryption")], "1 (default)"),
        ({"ENCRYPTION_KEYS": BOTH_KEYS}, [("warning", "encryption")], "1 (default)"),
    ],
    ids=str,
)
def test_each_weakness_of_the_variables_is_found_and_nothing_else(
    environ: Environ, changes: Mapping[str, str | None], expected: list[Wrong], text: str
) -> None:
    found = findings(environ(**changes))
    assert wrong(found) == expected
    assert not expected or text in said(found, expected[0][1])


def test_issuer_of_callers_is_asked_for_its_keys(environ: Environ) -> None:
    with running_issuer() as issuer, running_issuer() as other:
        entries = [
            {"name": name, "issuer": url, "audience": "us", "claims": {"sub": "a"}}
            for name, url in (("one", issuer.url), ("two", other.url), ("three", issuer.url))
        ]
        other.pages[KEYS] = answer("404 Not Found")
        # No API key is needed then.
        found = findings(environ(CALLERS=json.dumps(entries), API_KEY=None))
    assert wrong(found) == [("fault", "CALLERS")]
    assert f"{other.url}{KEYS}: status 404" in said(found, "CALLERS")
    assert f"ok       CALLERS: the issuer {issuer.url} has usable keys: 1" in map(str, found)
    assert issuer.paths == [DISCOVERY, KEYS]


def test_derived_encryption_key_is_a_weakness(
    running_digikey: SimulatedDigiKeyPeer, tmp_path: Path
) -> None:
    environ = healthy(running_digikey, tmp_path, ENCRYPTION_KEYS=None)
    keep(environ)
    assert wrong(findings(environ)) == [("warning", "ENCRYPTION_KEYS")]


@pytest.mark.parametrize(("secret", "is_weak"), [("changeme", True), (STATIC_STATE, False)])
def test_guessable_client_secret_is_reported_where_the_key_is_derived_from_it(
    environ: Environ, secret: str, *, is_weak: bool
) -> None:
    changed = environ(ENCRYPTION_KEYS=None, CLIENT_SECRET=secret)
    found = list(check_environment(Settings.from_environ(changed), NOW))
    assert ("guess" in said(found, "ENCRYPTION_KEYS")) == is_weak


def test_address_of_this_machine_is_a_weakness_where_the_provider_is_elsewhere(
    environ: Environ,
) -> None:
    changed = environ(
        PUBLIC_URL="http://localhost:8000", AUTHORIZATION_ENDPOINT=None, TOKEN_ENDPOINT=None
    )
    found = list(check_environment(Settings.from_environ(changed), NOW))
    assert wrong(found) == [("warning", "PUBLIC_URL")]
    assert "http://localhost:8000/api/callback" in said(found, "PUBLIC_URL")


def test_redirect_uri_to_register_is_reported(environ: Environ) -> None:
    texts = [each.text for each in findings(environ()) if each.about == "PUBLIC_URL"]
    assert texts == [
        "the redirect URI to register at the provider is https://keeper.test/api/callback"
    ]


# The provider's endpoints.

SANDBOX = "https://sandbox-api.digikey.com/v1/oauth2/token"
PRODUCTION = "https://api.digikey.com/v1/oauth2/token"


@pytest.mark.parametrize(
    ("preset", "given", "expected"),
    [
        ("digikey", {}, []),
        ("digikey-sandbox", {}, []),
        ("digikey", {"token_endpoint": SANDBOX}, [("fault", "PROVIDER")]),
        ("digikey-sandbox", {"token_endpoint": PRODUCTION}, [("fault", "PROVIDER")]),
        ("digikey", {"token_endpoint": "https://api.test/t"}, [("warning", "PROVIDER")]),
        ("digikey", {"revocation_endpoint": SANDBOX}, [("fault", "PROVIDER")]),
        (
            "custom",
            {"authorization_endpoint": "https://a.b.test/a", "token_endpoint": "https://c.b.test"},
            [],
        ),
        (
            "custom",
            {"authorization_endpoint": "https://10.0.0.1/a", "token_endpoint": "https://11.0.0.1"},
            [("warning", "PROVIDER")],
        ),
        (
            "custom",
            {
                "issuer": "https://accounts.test",
                "authorization_endpoint": "https://accounts.test/a",
                "token_endpoint": "https://oauth.example/t",
            },
            [],
        ),
        (
            "custom",
            {"authorization_endpoint": SANDBOX, "token_endpoint": SANDBOX},
            [("warning", "PROVIDER")] * 2,
        ),
        # A preset's endpoints may be of several sites, and at hosts of other presets.
        ("hubspot", {}, []),
        ("nest-sdm", {}, []),
        ("nest-sdm", {"token_endpoint": "https://api.hubapi.com/t"}, [("fault", "PROVIDER")]),
        ("hubspot", {"token_endpoint": "https://api.test/t"}, [("warning", "PROVIDER")]),
        ("custom", {"token_endpoint": "https://a-b.myshopify.com/t"}, [("warning", "PROVIDER")]),
        (
            "amazon-sp-api",
            {"authorization_endpoint": "https://sellercentral.amazon.de/apps/authorize/consent"},
            [],
        ),
        ("keycloak", {"token_endpoint": "https://login.test/realms/a/token"}, []),
    ],
    ids=str,
)
def test_endpoints_that_do_not_belong_together_are_found(
    preset: str, given: Mapping[str, Any], expected: list[Wrong]
) -> None:
    metadata = ServerMetadata(**given)
    provider = with_metadata(preset_named(preset), metadata)
    assert wrong(check_endpoints(provider, metadata)) == expected


def test_a_refresh_endpoint_elsewhere_is_found() -> None:
    metadata = ServerMetadata(
        authorization_endpoint="https://a.test/a", token_endpoint="https://a.test/t"
    )
    wire = WireFormat(refresh_endpoint="https://b.example/refresh")
    custom = replace(with_metadata(preset_named("custom"), metadata), wire=wire)
    found = list(check_endpoints(custom, metadata))
    assert wrong(found) == [("warning", "PROVIDER")]
    assert "REFRESH_ENDPOINT at b.example" in said(found, "PROVIDER")


# The provider, and its clock.


@pytest.mark.parametrize(
    ("header", "level"),
    [
        (3600, "fault"),
        (-3600, "fault"),
        ("Date: yesterday", "unknown"),
        ("X-Date: none", "unknown"),
    ],
    ids=str,
)
def test_clock_is_compared_with_the_providers(
    environ: Environ, header: int | str, level: str
) -> None:
    if isinstance(header, int):
        header = http_date(datetime.now(UTC) + header * SECOND)
    with serving(answer("404 Not Found", b"", header)) as server:
        assert wrong(findings(environ(TOKEN_ENDPOINT=server.endpoint))) == [(level, "clock")]
        [request] = server.requests
    assert request.line.startswith("HEAD / ")


def answered_from_0_to_10(*, date: int) -> tuple[WebAnswer, datetime]:
    """An answer that was on its way for ten seconds, and its date, in seconds from its sending."""
    start = NOW.replace(microsecond=0)
    shown = start + date * SECOND
    headers = {"date": http_date(shown).removeprefix("Date: ")}
    received_at = start + 10 * SECOND
    answer = WebAnswer(
        status=200,
        headers=headers,
        body=b"",
        sent_at=start,
        received_at=received_at,
        took=10 * SECOND,
    )
    return answer, shown


@pytest.mark.parametrize(
    ("date", "apart"),
    [(-62, 61), (-61, 60), (-4, 3), (-3, 2), (-1, 0), (0, 0), (10, 0), (12, 2), (13, 3), (71, 61)],
    ids=str,
)
def test_clocks_are_as_far_apart_as_is_certain(date: int, apart: int) -> None:
    web_answer, shown = answered_from_0_to_10(date=date)
    assert distance(web_answer, shown) == apart * SECOND
    level = {True: Level.WARNING, apart <= 2: Level.OK, apart > 60: Level.FAULT}[True]
    assert compare_clocks("its", web_answer).level is level


def test_provider_that_is_not_there_is_found(environ: Environ) -> None:
    gone = f"http://127.0.0.1:{free_port()}/token"
    assert wrong(findings(environ(TOKEN_ENDPOINT=gone))) == [("fault", "provider")]


def test_private_key_that_cannot_sign_is_found(environ: Environ) -> None:
    found = findings(
        environ(
            TOKEN_ENDPOINT_AUTH_METHOD="private_key_jwt",
            CLIENT_PRIVATE_KEY=pem_of("k256"),
        )
    )
    assert wrong(found) == [("fault", "provider")]
    assert "CLIENT_PRIVATE_KEY must be an RSA key" in said(found, "provider")


def test_silent_provider_is_found(environ: Environ) -> None:
    with serving(stall) as server:
        found = findings(environ(TOKEN_ENDPOINT=server.endpoint))
    assert wrong(found) == [("fault", "provider")]
    assert "no answer within" in said(found, "provider")


def test_part_that_takes_too_long_does_not_keep_the_others_back(
    environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other parts keep this limit on a busy machine too.
    monkeypatch.setattr(command, "_LIMIT", 5 * SECOND)
    with serving(stall) as server:
        found = findings(environ(TOKEN_ENDPOINT=server.endpoint))
    assert wrong(found) == [("fault", "provider")]
    assert "within 5 s" in said(found, "provider")
    assert "store" in {each.about for each in found}


def test_issuer_without_metadata_is_found(environ: Environ) -> None:
    with serving(answer("404 Not Found")) as server:
        issuer = server.endpoint.removesuffix("/token")
        changed = environ(
            PROVIDER="custom", ISSUER=issuer, AUTHORIZATION_ENDPOINT=None, TOKEN_ENDPOINT=None
        )
        assert wrong(findings(changed)) == [("fault", "ISSUER")]


# SQLite.


def readable_to_others(path: Path) -> None:
    path.chmod(0o644)


def without_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


def not_a_database(path: Path) -> None:
    path.write_bytes(b"notes\n")


@pytest.mark.parametrize(
    ("spoil", "level", "text"),
    [
        (readable_to_others, "warning", "(file)"),
        (without_wal_mode, "warning", "WAL"),
        (not_a_database, "fault", ""),
    ],
)
def test_unsuitable_file_is_found_and_left_alone(
    environ: Environ, spoil: Callable[[Path], None], level: str, text: str
) -> None:
    path = Path(environ()["SQLITE_PATH"])
    spoil(path)
    before = path.read_bytes()
    found = findings(environ())
    assert wrong(found) == [(level, "SQLITE_PATH")]
    assert text in said(found, "SQLITE_PATH")
    assert level == "warning" or path.read_bytes() == before


def test_no_file_is_made(environ: Environ, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere.sqlite"
    assert wrong(findings(environ(SQLITE_PATH=str(there)))) == [("unknown", "SQLITE_PATH")]
    assert not there.exists()


def test_folder_that_cannot_be_written_is_found() -> None:
    # Without a file system, because root can write everywhere.
    facts = SqliteFacts(
        exists=True, folder_is_writable=False, is_database=True, is_in_wal_mode=True
    )
    assert wrong(findings_of(facts)) == [("fault", "SQLITE_PATH")]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="Linux has it")  # noqa: S108 - looked at
def test_file_that_is_in_memory_only_is_found(environ: Environ) -> None:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        found = findings(environ(SQLITE_PATH=f"{folder}/grants.sqlite"))
    assert wrong(found) == [("warning", "SQLITE_PATH"), ("unknown", "SQLITE_PATH")]


def test_locked_file_is_found(environ: Environ) -> None:
    with closing(sqlite3.connect(environ()["SQLITE_PATH"], isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        found = findings(environ())
    assert wrong(found) == [("fault", "store")]
    assert "locked" in said(found, "store")


# Redis behind Upstash's protocol.


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
@pytest.mark.parametrize("hidden", [(), ("-config",)], ids=["CONFIG", "INFO"])
def test_policy_that_evicts_grants_is_found(
    upstash: dict[str, str], policy: str, hidden: tuple[str, ...]
) -> None:
    execute(upstash, "CONFIG", "SET", "maxmemory-policy", policy)
    if hidden:
        execute(upstash, "ACL", "SETUSER", "default", *hidden)
    found = findings(upstash)
    execute(upstash, "ACL", "SETUSER", "default", "+@all")
    assert wrong(found) == [("warning", "eviction")]
    assert f"policy is {policy}" in said(found, "eviction")


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        (["-config", "-info"], ("unknown", "eviction")),
        (["-eval"], ("fault", "store")),
        (["-hmget"], ("fault", "store")),
        (["-scan"], ("unknown", "connections")),
    ],
    ids=str,
)
def test_database_that_refuses_a_command_is_found(
    upstash: dict[str, str], denied: list[str], expected: Wrong
) -> None:
    execute(upstash, "ACL", "SETUSER", "default", *denied)
    assert wrong(findings(upstash)) == [expected]


def test_token_of_another_database_is_found(upstash: dict[str, str]) -> None:
    other = upstash | {"KV_REST_API_TOKEN": "of-another-database"}
    assert wrong(findings(other)) == [("unknown", "eviction"), ("fault", "store")]


def test_database_that_hangs_is_found(
    upstash: dict[str, str], redis: RestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.store_upstash._LIMIT", timedelta(seconds=3))
    redis.redis.pause()
    try:
        found = findings(upstash)
    finally:
        redis.redis.resume()
    assert wrong(found) == [("unknown", "eviction"), ("fault", "store")]


# Redis by TCP.

REPLICA = ReplicaFacts(
    name="10.0.0.2:6379",
    is_streaming=True,
    missing=0,
    unapplied=0,
    lag=SECOND,
    is_waited_for=False,
)
HEALTHY_REDIS = RedisServerFacts(
    eviction_policy="noeviction",
    has_append_only_file=True,
    has_snapshots=False,
    is_replica=False,
    replicas=(REPLICA,),
    least_replicas="1",
    is_encrypted=True,
)
UNREAD = UnreadFact("not allowed")


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        ({}, [], ""),
        ({"eviction_policy": "allkeys-lru"}, [("warning", "eviction")], "may evict grants"),
        ({"eviction_policy": "volatile-lru"}, [("warning", "eviction")], "unfinished logins"),
        ({"eviction_policy": UNREAD}, [("unknown", "eviction")], "not allowed"),
        (
            {"has_append_only_file": False, "has_snapshots": True},
            [("warning", "persistence")],
            "snapshots only",
        ),
        ({"has_append_only_file": False}, [("warning", "persistence")], "in memory only"),
        (
            {"has_append_only_file": False, "has_snapshots": UNREAD},
            [("unknown", "persistence")],
            "not allowed",
        ),
        ({"is_replica": True}, [("fault", "REDIS_URL")], "the primary"),
        (
            {"is_replica": UNREAD, "replicas": UNREAD},
            [("unknown", "REDIS_URL")],
            "not allowed",
        ),
        (
            {"replicas": (REPLICA, replace(REPLICA, name="b:2", lag=11 * SECOND))},
            [("warning", "replication")],
            "b:2 is 11 s behind",
        ),
        (
            {"replicas": (replace(REPLICA, is_streaming=False, lag=None),)},
            [("warning", "replication")],
            "10.0.0.2:6379 is not in step",
        ),
        (
            {"replicas": (replace(REPLICA, missing=4000, unapplied=4000, lag=2 * SECOND),)},
            [("warning", "replication")],
            "lacks 4000 bytes that were written seconds ago (2 s behind): a failover",
        ),
        ({"replicas": UNREAD}, [("unknown", "replication")], "not allowed"),
        ({"least_replicas": "0"}, [], ""),
        ({"is_encrypted": False}, [("warning", "REDIS_URL")], "no TLS"),
    ],
    ids=str,
)
def test_each_weakness_of_a_redis_is_found_and_nothing_else(
    changes: Mapping[str, Any], expected: list[Wrong], text: str
) -> None:
    found = list(findings_of(replace(HEALTHY_REDIS, **changes)))
    assert wrong(found) == expected
    assert not expected or text in said(found, expected[0][1])


# DynamoDB.


@pytest.mark.parametrize(
    ("name", "enabled"), [("delete_after", False), ("other", True)], ids=["off", "elsewhere"]
)
def test_table_without_expiry_is_found(
    dynamodb: dict[str, str], name: str, *, enabled: bool
) -> None:
    expiry = {"AttributeName": name, "Enabled": enabled}
    dynamodb_client(dynamodb).update_time_to_live(
        TableName=dynamodb["DYNAMODB_TABLE"], TimeToLiveSpecification=expiry
    )
    found = findings(dynamodb)
    assert wrong(found) == [("warning", "DYNAMODB_TABLE")]
    assert "delete_after" in said(found, "DYNAMODB_TABLE")


def test_table_that_cannot_be_restored_is_found(dynamodb: dict[str, str]) -> None:
    recovery = {"PointInTimeRecoveryEnabled": False}
    dynamodb_client(dynamodb).update_continuous_backups(
        TableName=dynamodb["DYNAMODB_TABLE"], PointInTimeRecoverySpecification=recovery
    )
    found = findings(dynamodb)
    assert wrong(found) == [("warning", "DYNAMODB_TABLE")]
    assert "recovery" in said(found, "DYNAMODB_TABLE")


def test_table_that_is_not_there_is_found(dynamodb: dict[str, str]) -> None:
    found = findings(dynamodb | {"DYNAMODB_TABLE": "no-such-table"})
    assert wrong(found) == [("unknown", "DYNAMODB_TABLE")] * 4 + [("fault", "store")]


ID = {"AttributeName": "id", "AttributeType": "S"}
AS_TEXT = [{**each, "AttributeType": "S"} for each in TABLE["AttributeDefinitions"]]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ({"AttributeDefinitions": [ID], "GlobalSecondaryIndexes": None}, "no index due"),
        ({"AttributeDefinitions": AS_TEXT}, "the key of its index due"),
    ],
    ids=["no-index", "other-key"],
)
def test_table_with_another_schema_is_found(
    dynamodb: dict[str, str], made: Mapping[str, Any], text: str
) -> None:
    peer = DynamoDbPeer.at(dynamodb["AWS_ENDPOINT_URL_DYNAMODB"])
    arguments = {name: value for name, value in {**TABLE, **made}.items() if value is not None}
    name = f"made-otherwise-{uuid4().hex}"
    peer.client.create_table(TableName=name, **arguments)
    environ = dynamodb | {"DYNAMODB_TABLE": name}
    tend(StorePeer(environ=environ, clear=lambda: None))
    found = findings(environ)
    assert ("fault", "DYNAMODB_TABLE") in wrong(found)
    assert text in said(found, "DYNAMODB_TABLE")


# The connections.


def since(days: int) -> Authorized:
    """A login of so long ago that nobody has used since."""
    ends = NOW - days * DAY + 30 * timedelta(minutes=1)
    return authorized(access_ends=ends, refresh_ends=NOW - days * DAY + 90 * DAY)


def failing(failure: Failure, at: datetime, grant: Authorized) -> Authorized:
    failure_state = FailureState(
        failures=1, failure=failure, at=at, retry_at=at, in_doubt_since=None
    )
    return replace(grant, failure_state=failure_state)


def ending(left: timedelta) -> Authorized:
    """A login that no refresh extends."""
    tokens = replace(
        fresh().tokens,
        refresh_token_expires_at=NOW + left,
        refresh_token_counted=LifetimeStart.LOGIN,
    )
    return Authorized(tokens=tokens)


ATTEMPT = Attempt(
    id="1", authorized_at=NOW, generation=0, client="client", started_at=NOW - 3 * DAY
)


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (since(59), []),
        (since(61), []),
        (since(63), [("fault", "sweep")]),
        (
            Refreshing(tokens=fresh().tokens, attempt=ATTEMPT, failure_state=None),
            [("fault", "sweep")],
        ),
        (failing(Failure.UNAVAILABLE, NOW - DAY, since(63)), [("warning", "refreshes")]),
        (
            failing(Failure.UNAVAILABLE, NOW - 3 * DAY, since(63)),
            [("warning", "refreshes"), ("fault", "sweep")],
        ),
        (failing(Failure.MISCONFIGURED, NOW, fresh()), [("fault", "refreshes")]),
        (since(91), [("warning", "connections")]),
        (ending(4 * DAY), []),
        (ending(2 * DAY), [("warning", "connections")]),
        (
            AuthorizationRequired(
                tokens=fresh().tokens,
                cause=Cause.REFRESH_TOKEN_REJECTED,
                client="client",
                since=NOW,
            ),
            [("warning", "connections")],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_connection_that_needs_attention_is_found(
    environ: Environ, grant: Grant, expected: list[Wrong]
) -> None:
    keep(environ(), grant, "unwell")
    found = findings(environ())
    assert wrong(found) == expected
    assert all("unwell" in said(found, about) for _, about in expected)


def test_incomplete_check_of_connections_is_reported(
    environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "_CHECK_LIMIT", timedelta(-1))
    keep(environ(), name="second")
    found = findings(environ())
    assert wrong(found) == [("unknown", "connections")]
    assert "only the first 1 were checked" in said(found, "connections")


def test_store_without_connections_is_reported(
    running_digikey: SimulatedDigiKeyPeer, redis: RestStore
) -> None:
    environ = healthy(running_digikey, redis.front.environ)
    execute(environ, "FLUSHALL")
    assert wrong(findings(environ)) == [("warning", "connections")]


# The command.


def test_command_fails_on_a_fault_and_not_on_a_warning(environ: Environ) -> None:
    status, out, error = run_doctor(environ(OAUTH_STATE=STATIC_STATE))
    assert (status, error) == (0, "")
    [warning] = [line for line in out.splitlines() if not line.startswith("ok ")]
    assert warning.startswith("warning  OAUTH_STATE: ")
    status, out, error = run_doctor(environ(PUBLIC_URL=None))
    assert (status, error) == (1, "Faults: 1; warnings: 0.\n")
    assert "\nfault    PUBLIC_URL: " in out


def test_strict_command_fails_where_a_check_was_not_possible(
    environ: Environ, tmp_path: Path
) -> None:
    # Without a database, its connections cannot be checked.
    empty = environ(SQLITE_PATH=str(tmp_path / "none.sqlite"))
    status, out, error = run_doctor(empty)
    assert (status, error) == (0, "")
    number = sum(line.startswith("unknown ") for line in out.splitlines())
    summary = f"Faults: 0; warnings: 0; unknown: {number}.\n"
    assert run_doctor(empty, "--strict")[::2] == (1, summary)
    assert number
    keep(environ())
    assert run_doctor(environ(), "--strict")[::2] == (0, "")


def test_each_variable_that_cannot_be_used_has_a_line_of_its_own(environ: Environ) -> None:
    status, out, _ = run_doctor(environ(API_KEY="short", CLIENT_ID=None, PKCE="S512"))
    assert status == 1
    faults = [line for line in out.splitlines() if line.startswith("fault ")]
    assert len(faults) == 3
    for name in ("API_KEY", "CLIENT_ID", "PKCE"):
        assert sum(f"variables: {name} " in line for line in faults) == 1


def test_no_secret_is_printed(environ: Environ, upstash: dict[str, str]) -> None:
    secrets = {
        "CLIENT_SECRET": "the-client's-secret-of-this-test",
        "OAUTH_STATE": "the-static-state-of-this-test",
        "ENCRYPTION_KEYS": encryption_key("another"),
    }
    of_store = {"KV_REST_API_TOKEN": "the-token-of-another-database"}
    for faulty, fault in ((environ(**secrets), "encryption"), (upstash | of_store, "store")):
        _, out, error = run_doctor(faulty)
        assert f"fault    {fault}" in out
        for secret in (*secrets.values(), *of_store.values(), API_KEY, CRON_SECRET):
            assert secret not in out + error


def test_process_ends_though_something_hangs() -> None:
    program = (
        "from datetime import timedelta; from threading import Thread, Event\n"
        "from functions.admin.doctor.command import exit_after\n"
        "with exit_after(timedelta(seconds=1)):\n"
        "    thread = Thread(target=Event().wait); thread.start(); thread.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("fault    doctor: a check hangs")


def test_finding_is_one_line_with_any_text_of_a_server() -> None:
    finding = Finding(
        level=Level.FAULT, about="live", text="a\nok       store: fine\x1b[2J" + "x" * 9999
    )
    assert "\n" not in str(finding)
    assert "\x1b" not in str(finding)
    assert len(str(finding)) < 700
