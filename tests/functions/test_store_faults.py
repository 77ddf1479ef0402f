"""Redis and Postgres that cannot be used: the answers, the log, and what is kept."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from adapters import postgres_pool
from adapters.postgres_schema import SCHEMA
from tests.bench.tls_door import tls_door
from tests.functions.conftest import Deploy, environ_for
from tests.functions.deployment import API_KEY
from tests.functions.expect import expect_problem, expect_token
from tests.functions.grants import over
from tests.functions.settings.test_settings import answers_of
from tests.functions.stores import NO_STORE, execute
from tests.functions.token_endpoint import TokenEndpoint
from tests.ports.store_contract import pooler, postgres
from tests.system.certificates import server_certificate
from tests.system.loopback import free_port
from tests.system.postgres_peer import PASSWORD
from tests.system.redis_peer import redis_server
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

# ruff: noqa: S608 - the statements are the tests' own

WRONG = "the-wrong-password-of-this-test"
# psycopg's pool tries again until the limit of a call, which tests usually extend.
SHORT = timedelta(seconds=2)

Start: TypeAlias = Callable[[], AbstractContextManager[str]]
"""Provide the URL of a store with a fault."""


@contextmanager
def redis_with_another_password() -> Iterator[str]:
    with redis_server() as peer:
        peer.execute("CONFIG", "SET", "requirepass", PASSWORD)
        yield peer.url.replace("//", f"//:{WRONG}@")


@contextmanager
def redis_with_an_unknown_authority() -> Iterator[str]:
    with redis_server() as peer, TemporaryDirectory() as folder:
        certificate = server_certificate(Path(folder), "127.0.0.1")
        with tls_door(peer.port, certificate) as port:
            yield f"rediss://:{WRONG}@127.0.0.1:{port}"


@contextmanager
def no_redis() -> Iterator[str]:
    yield f"redis://:{WRONG}@127.0.0.1:{free_port()}"


@contextmanager
def postgres_with_another_password() -> Iterator[str]:
    yield postgres().new_database().replace(PASSWORD, WRONG)


@contextmanager
def postgres_with_an_unknown_authority() -> Iterator[str]:
    yield f"{pooler().url_of(postgres().new_database())}?sslmode=verify-full&sslrootcert=system"


@contextmanager
def no_postgres() -> Iterator[str]:
    yield f"postgres://keeper:{WRONG}@127.0.0.1:{free_port()}/grants"


@contextmanager
def postgres_without_tables() -> Iterator[str]:
    yield postgres().new_database(is_empty=True)


@contextmanager
def postgres_of_a_later_version() -> Iterator[str]:
    url = postgres().new_database()
    postgres().execute(f"UPDATE {SCHEMA} SET version = 99", url=url)
    yield url


@pytest.mark.parametrize(
    ("variable", "start", "told"),
    [
        pytest.param("REDIS_URL", redis_with_another_password, "refuses", id="redis-password"),
        pytest.param("REDIS_URL", redis_with_an_unknown_authority, "be verified", id="redis-tls"),
        pytest.param("REDIS_URL", no_redis, "check host and port", id="redis-away"),
        pytest.param(
            "DATABASE_URL", postgres_with_another_password, "password", id="postgres-password"
        ),
        pytest.param(
            "POSTGRES_URL",
            postgres_with_an_unknown_authority,
            "certificate verify failed",
            id="postgres-tls",
        ),
        pytest.param("POSTGRES_URL", no_postgres, "refused", id="postgres-away"),
        pytest.param("DATABASE_URL", postgres_without_tables, "migrate", id="postgres-no-tables"),
        pytest.param(
            "DATABASE_URL", postgres_of_a_later_version, "update the", id="postgres-later"
        ),
    ],
)
def test_callers_may_retry_and_the_log_names_the_variable_and_no_password(
    running_digikey: SimulatedDigiKeyPeer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    variable: str,
    start: Start,
    told: str,
) -> None:
    monkeypatch.setattr(postgres_pool, "LIMIT", SHORT)
    caplog.set_level(logging.DEBUG)
    with start() as url:
        environ = environ_for(running_digikey, {variable: url})
        key = ("x-api-key", API_KEY)
        [answer] = answers_of(environ, key, endpoints=[("GET", "/api/token")]).values()
    expect_problem(answer, 503, "store-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].startswith("the store is not available: ")
    assert variable in errors[0]
    assert told in errors[0]
    for password in (WRONG, PASSWORD):
        assert password not in caplog.text + answer.text


# A read-only replica

SetReadOnly: TypeAlias = Callable[[bool], object]


@contextmanager
def redis_that_becomes_a_replica() -> Iterator[tuple[str, SetReadOnly]]:
    with redis_server() as peer:

        def set_read_only(is_on: bool) -> None:  # noqa: FBT001 - it is what is set
            execute(peer.environ, "REPLICAOF", *(("127.0.0.1", "1") if is_on else ("NO", "ONE")))

        yield peer.url, set_read_only


@contextmanager
def postgres_that_becomes_read_only() -> Iterator[tuple[str, SetReadOnly]]:
    url = postgres().new_database()
    name = url.rpartition("/")[2]

    def set_read_only(is_on: bool) -> None:  # noqa: FBT001 - it is what is set
        state = "on" if is_on else "off"
        postgres().execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}")
        # For new sessions only, as after a failover.
        postgres().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )

    yield url, set_read_only


@pytest.mark.parametrize(
    ("variable", "start"),
    [
        pytest.param("REDIS_URL", redis_that_becomes_a_replica, id="redis"),
        pytest.param("POSTGRES_URL", postgres_that_becomes_read_only, id="postgres"),
    ],
)
def test_a_read_only_replica_sends_nothing_and_loses_nothing(
    deploy: Deploy,
    endpoint: TokenEndpoint,
    *,
    variable: str,
    start: Callable[[], AbstractContextManager[tuple[str, SetReadOnly]]],
) -> None:
    with start() as (url, set_read_only):
        deployment = deploy(**{**NO_STORE, **endpoint.environ, variable: url})
        deployment.put("a", grant := over())
        set_read_only(True)
        expect_problem(deployment.token("a"), 503, "store-unavailable")
        assert endpoint.seen == []
        assert deployment.grant("a") == grant
        said = deployment.running.log()
        (line,) = (line for line in said.splitlines() if "the store is not available: " in line)
        assert variable in line
        assert "address of the primary" in line
        assert PASSWORD not in said
        set_read_only(False)
        assert expect_token(deployment.token("a")) == endpoint.given[0]["access_token"]
        assert [seen.form["refresh_token"] for seen in endpoint.seen] == [
            grant.tokens.refresh_token
        ]
