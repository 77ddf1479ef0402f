"""The modules that a fresh token imports. `make bench` measures the time."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx

from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.grants import fresh
from tests.records import record_of
from tests.system.loopback import http
from tests.system.redis_peer import redis_server
from tests.system.upstash_front import upstash_front
from tests.system.vercel_artifact import artifact, require_builder
from tests.system.vercel_cold_start import cpu_seconds_to_first_answer, import_times, ok_function
from tests.system.vercel_runtime import function_process

OUR_OWN = {
    "adapters",
    "adapters.clock_system",
    "adapters.entropy_system",
    "adapters.grant_json",
    "adapters.ledger_json",
    "adapters.redis_records",
    "adapters.rescue_log",
    "adapters.sealed_records",
    "adapters.sealing",
    "adapters.store_upstash",
    "adapters.stored_json",
    "adapters.tls",
    "adapters.tokens_json",
    "adapters.upstash_reader",
    "domain",
    "domain.authorized",
    "domain.connection",
    "domain.ledger",
    "domain.metadata",
    "domain.policy",
    "domain.provider",
    "domain.providers",
    "domain.providers.digikey",
    "domain.serving",
    "domain.tokens",
    "functions",
    "functions.access",
    "functions.access.credentials",
    "functions.access.gate",
    "functions.application",
    "functions.client_wiring",
    "functions.endpoints",
    "functions.endpoints.token",
    "functions.http",
    "functions.http.connections",
    "functions.http.instants",
    "functions.http.messages",
    "functions.http.parameters",
    "functions.http.problems",
    "functions.lifespan",
    "functions.lifespan.per_loop",
    "functions.lifespan.termination",
    "functions.observability",
    "functions.observability.log_lines",
    "functions.observability.tracing",
    "functions.refresh",
    "functions.refresh.concurrency_limit",
    "functions.refresh.keeper",
    "functions.refresh.memory",
    "functions.refresh.recorder",
    "functions.refresh.shared_tasks",
    "functions.routes",
    "functions.settings",
    "functions.settings.api_keys",
    "functions.settings.client",
    "functions.settings.clients",
    "functions.settings.environment",
    "functions.settings.pasted",
    "functions.settings.presets",
    "functions.settings.provider",
    "functions.settings.settings",
    "functions.settings.store",
    "functions.wiring",
    "ports",
    "ports.network_settings",
    "ports.store",
}
OTHERS = {"_cffi_backend", "cryptography"}
API_KEY = "not-a-real-api-key-of-anything"


def test_a_fresh_token_imports_nothing_but_this() -> None:
    require_builder()
    with a_fresh_token() as environ:
        token = artifact().functions["token"]
        ours = import_times(token, environ, "/api/token", {"x-api-key": API_KEY})
    theirs = import_times(ok_function(), {}, "/", {})
    imported = {name for name in ours.keys() - theirs.keys() if not is_standard(name)}
    known = {name for name in imported if name.partition(".")[0] in OTHERS}
    assert imported - known - {"vc__handler__python"} == OUR_OWN
    assert {name.partition(".")[0] for name in known} == OTHERS
    # Of the standard library: what sockets would import for a host's name.
    assert "encodings.idna" not in ours


def is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


@contextmanager
def a_fresh_token() -> Iterator[dict[str, str]]:
    """Store a grant, and yield the variables of a deployment that finds it."""
    with redis_server() as redis, upstash_front(redis) as front:
        environ = {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "not-a-real-secret",
            "API_KEY": API_KEY,
            "KV_REST_API_URL": front.url,
            "KV_REST_API_TOKEN": front.token,
        }
        asyncio.run(store_a_grant(environ))
        yield environ


async def store_a_grant(environ: dict[str, str]) -> None:
    store = Wiring(Settings.from_environ(environ)).store
    await store.swap("default", record_of(fresh(), uuid4().hex), expected_etag=None)
    await store.close()


def test_processor_time_of_a_function_is_that_of_its_process() -> None:
    require_builder()
    with function_process(ok_function(), {}) as process:
        started = process.cpu_seconds()
        answers = [http.get(f"{process.address}/{number}") for number in range(20)]
        assert {(answer.status_code, answer.text) for answer in answers} == {(httpx.codes.OK, "ok")}
        assert 0 < started < process.cpu_seconds()


def test_first_answer_costs_more_than_nothing() -> None:
    require_builder()
    assert cpu_seconds_to_first_answer(ok_function(), {}) > 0
