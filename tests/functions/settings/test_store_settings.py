"""The store of a deployment: exactly one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.admin.command import describe_store
from functions.settings.settings import Settings, SettingsError
from functions.settings.store import (
    DynamoDbSettings,
    PostgresSettings,
    RedisSettings,
    SqliteSettings,
    UpstashSettings,
)
from functions.wiring import Wiring
from tests.functions.grants import fresh
from tests.ports.store_contract import dynamodb
from tests.records import record_of

REQUIRED = {"CLIENT_ID": "client", "CLIENT_SECRET": "secret", "API_KEY": "the-api-key-of-this-test"}
KV = {"KV_REST_API_URL": "https://kv.example", "KV_REST_API_TOKEN": "kv-token"}
UPSTASH = {
    "UPSTASH_REDIS_REST_URL": "https://kv.example",
    "UPSTASH_REDIS_REST_TOKEN": "kv-token",
}
DYNAMODB = {"DYNAMODB_TABLE": "grants"}
REDIS = {"REDIS_URL": "rediss://user:pass-word@redis.example:6380/1"}
DATABASE = {"DATABASE_URL": "postgres://keeper:db-password@db.example/grants"}


def settings(**environ: str) -> Settings:
    return Settings.from_environ({**REQUIRED, **environ})


@pytest.mark.parametrize("path", ["grants.sqlite", "/dev/shm/grants.sqlite"])  # noqa: S108 - names
def test_file_is_a_store(path: str) -> None:
    store = settings(SQLITE_PATH=path).store
    assert isinstance(store, SqliteSettings)
    assert store.path.name == "grants.sqlite"


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/grants.sqlite"])
def test_file_that_the_system_does_not_allow_is_refused_with_its_reason(
    tmp_path: Path, name: str
) -> None:
    # A folder without search permission has such a message as well, but root may search each.
    with pytest.raises(SettingsError) as caught:
        settings(SQLITE_PATH=str(tmp_path / name))
    assert str(caught.value) == f"SQLITE_PATH cannot be used: {os.strerror(errno.ENAMETOOLONG)}"


@pytest.mark.parametrize(
    "path",
    [
        *(":memory:", ":MEMORY:", "./:memory:", "file::memory:?cache=shared"),
        *("file:grants.sqlite", "FILE:grants.sqlite?mode=memory", "sqlite:///grants.sqlite"),
        *("/dev/null", "/dev/fd/0", "/dev/grants.sqlite", "/proc/self/fd/grants.sqlite"),
        *("/proc/self/mem", "/sys/grants.sqlite", "/", "..//", "FIFO", "LINK", "nul\0"),
    ],
)
def test_path_that_stores_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("FIFO")
    Path("LINK").symlink_to("/dev/null")
    with pytest.raises(SettingsError, match=r"^SQLITE_PATH [^;]*$"):
        settings(SQLITE_PATH=path)


@pytest.mark.parametrize("pair", [KV, UPSTASH, KV | UPSTASH])
def test_either_pair_of_names_is_the_same_database(pair: dict[str, str]) -> None:
    database = UpstashSettings(url="https://kv.example", token="kv-token")
    assert settings(**pair).store == database
    assert "kv-token" not in repr(database)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {},
            ["SQLITE_PATH", "KV_REST_API_URL", "REDIS_URL", "DYNAMODB_TABLE", "DATABASE_URL"],
        ),
        ({"SQLITE_PATH": "x"} | REDIS, ["several", "SQLITE_PATH", "REDIS_URL"]),
        (KV | REDIS, ["several", "KV_REST_API_URL", "REDIS_URL"]),
        ({"SQLITE_PATH": "x"} | KV, ["several", "SQLITE_PATH", "KV_REST_API_URL"]),
        ({"SQLITE_PATH": "x"} | DYNAMODB, ["several", "SQLITE_PATH", "DYNAMODB_TABLE"]),
        ({"SQLITE_PATH": "x"} | DATABASE, ["several", "SQLITE_PATH", "DATABASE_URL"]),
        (KV | DYNAMODB, ["several", "KV_REST_API_URL", "DYNAMODB_TABLE"]),
        (
            KV | UPSTASH | {"UPSTASH_REDIS_REST_TOKEN": "another"},
            ["several", "KV_REST_API_URL", "UPSTASH_REDIS_REST_URL"],
        ),
        ({"KV_REST_API_URL": "https://kv.example"}, ["KV_REST_API_TOKEN", "must both be set"]),
        ({"UPSTASH_REDIS_REST_TOKEN": "t"}, ["UPSTASH_REDIS_REST_URL", "must both be set"]),
        (KV | {"KV_REST_API_URL": "http://kv.example"}, ["KV_REST_API_URL", "https"]),
    ],
)
def test_missing_incomplete_and_several_stores_are_refused_by_their_names(
    environ: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**environ)
    assert [name for name in named if name not in str(caught.value)] == []
    assert "kv-token" not in str(caught.value)


def test_table_is_a_store_in_the_region_that_is_set() -> None:
    table = DynamoDbSettings(table="grants", region="eu-central-1")
    assert settings(**DYNAMODB, AWS_REGION="eu-central-1").store == table
    assert settings(**DYNAMODB).store == DynamoDbSettings(table="grants", region=None)


@pytest.mark.parametrize("name", ["ab", "grants/x", "a" * 256, "gránts", "grants table"])
def test_table_with_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="DYNAMODB_TABLE"):
        settings(DYNAMODB_TABLE=name)


@pytest.mark.anyio
async def test_table_is_reached_by_the_variables_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = dynamodb()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", peer.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", peer.access["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", peer.access["aws_secret_access_key"])
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    region = peer.access["region_name"]
    store = Wiring(settings(DYNAMODB_TABLE=peer.new_table(), AWS_REGION=region)).store
    await store.swap("default", record_of(fresh(), "one"), expected_etag=None)
    assert (await store.load("default")).etag == "one"
    await store.close()


def test_table_without_its_library_is_refused_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    for name in ("adapters.store_dynamodb", "adapters.dynamodb_table", "adapters.aws_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SettingsError, match=r"DYNAMODB_TABLE .*infra/locks/aws\.txt"):
        Wiring(settings(**DYNAMODB))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://redis.example", "redis.example"),
        ("redis://:pass-word@redis.example:6379", "redis.example:6379"),
        ("rediss://user:pass%40word@redis.example/3", "redis.example/3"),
        ("redis://user:pass@word@[::1]:6379?db=2&max_connections=5", "[::1]:6379"),
        ("rediss://redis.example?ssl_cert_reqs=required&ssl_ca_certs=.", "redis.example"),
    ],
)
def test_redis_by_tcp_is_a_store(url: str, place: str) -> None:
    store = settings(REDIS_URL=url).store
    assert isinstance(store, RedisSettings)
    assert (store.url, store.place) == (url, place)
    assert describe_store(store) == f"the database at {place} (REDIS_URL)"
    assert "pass" not in repr(store)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("redis.example:6379", "must begin with redis://", id="no-scheme"),
        pytest.param("https://pass-word@redis.example", "must begin with redis://", id="https"),
        pytest.param("unix:///run/redis.sock", "must begin with redis://", id="socket"),
        pytest.param("redis+sentinel://redis.example/main", "Sentinel", id="sentinel"),
        pytest.param("redis-cluster://redis.example", "Cluster", id="cluster"),
        pytest.param("redis://", "has no host", id="nothing"),
        pytest.param("redis://:pass-word@/0", "has no host", id="no-host"),
        pytest.param("redis://:pass#word@redis.example", "%23", id="number-sign"),
        pytest.param("redis://:pass/word@redis.example", "%2F", id="slash"),
        pytest.param("redis://:pass[word@redis.example", "is not a URL", id="bracket"),
        pytest.param("redis://a.example:1,b.example:2/0", "must have one host", id="hosts"),
        pytest.param("redis://redis.example:0", "has a bad port", id="port-0"),
        pytest.param("redis://redis.example:65536", "has a bad port", id="port-too-high"),
        pytest.param("redis://redis.example:pass-word", "has a bad port", id="port-no-number"),
        pytest.param("redis://user@redis.example", "without a password", id="user-only"),
        pytest.param("redis://redis.example/pass-word", "number of a database", id="database"),
        pytest.param("redis://redis.example/-1", "number of a database", id="negative"),
        pytest.param("redis://redis.example/0/1", "number of a database", id="two-databases"),
        pytest.param("redis://redis.example?db=x", "number as db", id="db"),
        pytest.param("redis://redis.example?max_connections=0", "from 1 to 9999", id="pool"),
        pytest.param("redis://redis.example?pass-word=1", "unknown parameter", id="unknown"),
        pytest.param("redis://redis.example?socket_timeout=99", "unknown parameter", id="timeout"),
        pytest.param("redis://redis.example?ssl_ca_certs=.", "rediss://", id="ca-without-tls"),
        pytest.param("rediss://redis.example?ssl_cert_reqs=none", "ssl_ca_certs", id="unverified"),
        pytest.param(
            "rediss://redis.example?ssl_check_hostname=false", "ssl_ca_certs", id="any-name"
        ),
        pytest.param("rediss://redis.example?ssl_ca_certs=none-there", "not exist", id="no-file"),
        pytest.param("redis://:pass word@redis.example", "printable ASCII", id="space"),
    ],
)
def test_redis_url_that_cannot_be_used_is_refused_and_not_repeated(url: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL [^;]*$") as caught:
        settings(REDIS_URL=url)
    assert fault in str(caught.value)
    assert "pass-word" not in str(caught.value)
    assert "word@" not in str(caught.value)


def test_redis_url_of_the_same_database_as_upstash_changes_nothing() -> None:
    # As Vercel's integration sets them.
    same = {"REDIS_URL": "rediss://default:pass-word@kv.example:6379"}
    assert settings(**KV, **same).store == settings(**KV).store


def test_redis_without_its_library_is_refused_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("adapters.store_redis", "adapters.redis_client"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SettingsError, match=r"REDIS_URL .*infra/locks/redis\.txt"):
        Wiring(settings(**REDIS))


def test_nothing_of_other_stores_is_imported() -> None:
    program = (
        "import sys\n"
        "from functions.settings.settings import Settings\n"
        "from functions.wiring import Wiring\n"
        f"for store in {{'SQLITE_PATH': 'grants.sqlite'}}, {KV}:\n"
        f"    Wiring(Settings.from_environ({REQUIRED} | store))\n"
        "others = ('boto', 'jmespath', 'redis', 'adapters.store_r', 'functions.settings.redis',\n"
        "    'psycopg', 'functions.settings.postgres')\n"
        "print(sorted(name for name in sys.modules if name.startswith(others)))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


@pytest.mark.parametrize("token", ["kv-\ntoken", "kv token", "kv-\u2026"])
def test_token_that_does_not_fit_in_a_header_is_refused_and_not_repeated(token: str) -> None:
    # The HTTP client would quote it in its error.
    with pytest.raises(SettingsError, match="KV_REST_API_TOKEN must be printable ASCII") as caught:
        settings(**KV | {"KV_REST_API_TOKEN": token})
    assert "kv" not in str(caught.value)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param(DATABASE, id="database"),
        pytest.param({"POSTGRES_URL": DATABASE["DATABASE_URL"]}, id="postgres"),
        pytest.param(DATABASE | {"POSTGRES_URL": DATABASE["DATABASE_URL"]}, id="both-alike"),
        pytest.param({"DATABASE_URL": "postgresql:///grants?host=/run/postgresql"}, id="socket"),
        pytest.param({"DATABASE_URL": "postgres://%2Frun%2Fpostgresql/grants"}, id="socket-host"),
        pytest.param({"DATABASE_URL": "postgres://a:1,[::1]:2/grants"}, id="two-hosts"),
        pytest.param(
            {"DATABASE_URL": "mysql://db.example", "POSTGRES_URL": "postgres://db.example"},
            id="beside-another-kind",
        ),
    ],
)
def test_postgres_is_a_store_by_either_variable(environ: dict[str, str]) -> None:
    store = settings(**environ).store
    assert isinstance(store, PostgresSettings)
    assert environ[store.variable] == store.url
    assert store.url not in repr(store)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("mysql://keeper:db-password@db.example/grants", "postgres://", id="scheme"),
        pytest.param("db.example/db-password", "postgres://", id="no-scheme"),
        pytest.param("postgres:///db-password", "names no host", id="no-host"),
        pytest.param("postgres://keeper:db-password@/grants", "names no host", id="user-alone"),
        pytest.param("postgres://keeper:db-p@ssword@db.example/grants", "%40 for @", id="at"),
        pytest.param("postgres://keeper:db-password#1@db.example/x", "%40 for @", id="hash"),
        pytest.param("postgres://keeper:db-password%@db.example/x", "write %25", id="percent"),
        pytest.param("postgres://keeper:db-password@db.example:0/x", "port", id="port"),
        pytest.param("postgres://keeper:db-password@db.example:70000/x", "port", id="large-port"),
        pytest.param("postgres://db.example/db-password?sslmode=on", "sslmode", id="sslmode"),
    ],
)
def test_url_that_is_none_of_postgres_is_refused_and_not_repeated(url: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=f"^DATABASE_URL [^;]*{fault}[^;]*$") as caught:
        settings(DATABASE_URL=url)
    assert "db-p" not in str(caught.value)


def test_two_different_urls_are_refused() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL and POSTGRES_URL are different"):
        settings(**DATABASE, POSTGRES_URL="postgres://db.example/other")


def test_url_of_another_program_is_ignored_beside_a_store() -> None:
    environ = {"SQLITE_PATH": "x", "DATABASE_URL": "mysql://db.example/other"}
    assert isinstance(settings(**environ).store, SqliteSettings)


def test_postgres_without_its_library_is_refused_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("store_postgres", "postgres_pool", "postgres_address", "postgres_setup"):
        monkeypatch.delitem(sys.modules, f"adapters.{name}", raising=False)
    with pytest.raises(SettingsError, match=r"DATABASE_URL .*infra/locks/postgres\.txt"):
        Wiring(settings(**DATABASE))
