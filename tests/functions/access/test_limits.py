"""Limits on failures: a caller that fails too often has 429, and no other is affected."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from adapters.store_memory import MemoryStore
from functions.access import limits as limits_module
from functions.access.limits import (
    MAX_CONCURRENT_WRITES,
    MAX_WINDOWS,
    MAX_WRITES,
    WINDOW,
    FailureLimits,
    network_of,
    window_end,
)
from functions.http.messages import Request
from functions.http.problems import Problem, problem
from functions.settings.settings import DEFAULT_FAILURE_LIMIT, Settings
from ports.store import StoreUnavailableError
from tests.functions.access.test_api_keys import CI, KEYS, OTHERS, with_key
from tests.functions.conftest import Deploy, deployed_over_new_store
from tests.functions.deployment import (
    API_KEY,
    CRON_SECRET,
    HTML,
    JSON,
    STATIC_STATE,
    Call,
    Deployment,
    Header,
    at,
)
from tests.functions.expect import (
    expect_json,
    expect_page,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import fresh
from tests.functions.hosts import HOSTS, Host, on_each_host, on_each_host_and_store
from tests.functions.keeper_rig import SetClock, some_keys
from tests.functions.stores import raw_content
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

pytestmark = pytest.mark.anyio

Sent: TypeAlias = tuple[str, str, Sequence[Header]]
"""A method, a target and headers."""

# The limit of deployments here, and the default one.
LIMIT, DEFAULT = 6, DEFAULT_FAILURE_LIMIT
WRONG = ("x-api-key", "another-key-that-nobody-has")
BY_ADDRESS: dict[str, tuple[Sent, int, str]] = {
    "no key": (("GET", "/api/token", []), 401, "api-key-missing"),
    "a wrong key": (("GET", "/api/verify", [WRONG]), 401, "api-key-invalid"),
    "a wrong state": (("GET", "/api/callback?code=a&state=b", [JSON]), 400, "invalid-state"),
    "no state": (("GET", "/api/callback", [JSON]), 400, "invalid-state"),
    "no secret": (("GET", "/api/refresh", []), 401, "cron-secret-required"),
    "nonsense without a key": (("POST", "/api/login?a=%ff", []), 400, "invalid-request"),
}
BY_KEY: dict[str, tuple[str, str, int, str]] = {
    "another connection": ("GET", "/api/token?connection=other", 403, "key-not-allowed"),
    "another endpoint": ("POST", "/api/login?connection=allowed", 403, "key-not-allowed"),
    "nonsense": ("GET", "/api/token?min_ttl=x&connection=allowed", 400, "invalid-request"),
    "nonsense at first sight": ("GET", "/api/token?a=%ff", 400, "invalid-request"),
}
_LONGEST_TEST_SECONDS = 60
_addresses = (f"203.0.113.{number}" for number in range(256))


@pytest.fixture(scope="module")
def limited(
    host: Host, portal: BlockingPortal, running_digikey: SimulatedDigiKeyPeer
) -> Iterator[Deployment]:
    """A deployment with limits, and with keys."""
    changes = {"API_KEYS": KEYS, "FAILURE_LIMIT": str(LIMIT)}
    with deployed_over_new_store(host, portal, running_digikey, changes) as deployment:
        deployment.put("allowed", fresh())
        yield deployment


@pytest.fixture
def address(host: Host, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address that no other test has, at a time when a window will not end soon."""
    if host is HOSTS["in-process"]:
        # Only here can windows be longer: a wait at the end of one is rare then.
        monkeypatch.setattr(limits_module, "_SECONDS", timedelta(days=1).total_seconds())
    left = (window_end(datetime.now(UTC)) - datetime.now(UTC)).total_seconds()
    time.sleep(left if left < _LONGEST_TEST_SECONDS else 0)
    return next(_addresses)


def fail(limited: Deployment, client: str, times: int, call: Sent) -> list[httpx.Response]:
    """Make the same call many times, one after the other."""
    method, target, headers = call
    one = Call(method=method, target=target, headers=tuple(headers), client=client)
    return [limited.together([one])[0] for _ in range(times)]


def expect_too_many(answer: httpx.Response) -> None:
    members = expect_problem(answer, 429, "too-many-failures")
    assert str(LIMIT) in members["detail"]
    expect_retry_after(answer, at_most=int(limits_module._SECONDS))


@pytest.mark.parametrize(("call", "status", "name"), BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_too_many_failures_from_an_address_are_answered_429(
    limited: Deployment, address: str, call: Sent, status: int, name: str
) -> None:
    for answer in fail(limited, address, LIMIT, call):
        expect_problem(answer, status, name)
    for answer in fail(limited, address, 2, call):
        expect_too_many(answer)
    # From elsewhere it is refused in its own words.
    expect_problem(fail(limited, next(_addresses), 1, call)[0], status, name)


@on_each_host
def test_failures_of_all_kinds_are_counted_together(limited: Deployment, address: str) -> None:
    kinds = [call for call, _, _ in BY_ADDRESS.values()]
    assert len(kinds) == LIMIT
    for call in kinds:
        fail(limited, address, 1, call)
    for call in kinds:
        expect_too_many(fail(limited, address, 1, call)[0])


@pytest.mark.parametrize(("method", "target", "status", "name"), BY_KEY.values(), ids=BY_KEY)
@pytest.mark.usefixtures("address")
def test_too_many_failures_with_a_key_are_answered_429_wherever_they_come_from(
    deploy: Deploy, method: str, target: str, status: int, name: str
) -> None:
    deployment = deploy(API_KEYS=KEYS, FAILURE_LIMIT="3")
    deployment.put("allowed", fresh())
    call = (method, target, [with_key(CI)])
    for _ in range(3):
        expect_problem(fail(deployment, next(_addresses), 1, call)[0], status, name)
    (answer,) = fail(deployment, next(_addresses), 1, call)
    assert "'ci'" in expect_problem(answer, 429, "too-many-failures")["detail"]
    # Its valid requests still work, and other keys are not affected.
    expect_token(deployment.call("GET", "/api/token?connection=allowed", with_key(CI)))
    expect_problem(deployment.get("/api/token?min_ttl=x"), 400, "invalid-request")


@pytest.mark.usefixtures("address")
def test_failures_with_the_key_as_a_password_are_counted_by_the_key(deploy: Deploy) -> None:
    deployment = deploy(API_KEYS=KEYS, FAILURE_LIMIT="1")
    key = ("authorization", f"Basic {b64encode(f':{CI}'.encode()).decode()}")
    call = ("GET", "/api/token?min_ttl=x&connection=allowed", [key])
    expect_problem(fail(deployment, next(_addresses), 1, call)[0], 400, "invalid-request")
    (answer,) = fail(deployment, next(_addresses), 1, call)
    assert "'ci'" in expect_problem(answer, 429, "too-many-failures")["detail"]
    # A malformed one is none, and counted by the address.
    malformed = ("GET", "/api/token?a=%ff", [("authorization", "Basic ?")])
    expect_problem(fail(deployment, next(_addresses), 1, malformed)[0], 400, "invalid-request")


def test_good_key_works_at_an_address_with_too_many_failures(
    limited: Deployment, connection: str, address: str
) -> None:
    limited.put(connection, fresh())
    target = f"/api/token?connection={connection}"
    fail(limited, address, LIMIT + 1, ("GET", target, [WRONG]))
    good = Call(method="GET", target=target, headers=(limited.key,), client=address)
    bad = Call(method="GET", target=target, headers=(WRONG,), client=address)
    answers = limited.together([good, bad] * 5)
    for answer in answers[::2]:
        expect_token(answer)
    for answer in answers[1::2]:
        expect_too_many(answer)
    secret = ("authorization", f"Bearer {CRON_SECRET}")
    sweep = Call(method="GET", target="/api/refresh", headers=(secret,), client=address)
    expect_json(limited.together([sweep])[0])


def test_login_comes_back_to_an_address_where_too_many_states_were_wrong(
    limited: Deployment, connection: str, address: str
) -> None:
    wrong = ("GET", "/api/callback?code=a&state=b", [HTML])
    callback_url = limited.provider.allow(limited.begin_login(connection))
    assert "Too many" in expect_page(fail(limited, address, LIMIT + 1, wrong)[-1], 429)
    target = callback_url.removeprefix("https://keeper.test")
    back = Call(method="GET", target=target, headers=(HTML,), client=address)
    expect_page(limited.together([back])[0])


def test_checklist_62_codes_that_come_with_the_static_state_are_limited_before_they_are_sent(
    deploy: Deploy, endpoint: TokenEndpoint, address: str
) -> None:
    environ = {**endpoint.environ, "OAUTH_STATE": STATIC_STATE, "FAILURE_LIMIT": "3"}
    deployment, other = deploy(**environ), deploy(**environ)
    endpoint.plan(*[Answer.json({"error": "invalid_grant"}, status=400)] * 3)
    for number in range(9):
        # From wherever they come, and whichever instance they come to.
        client, instance = address if number == 0 else next(_addresses), (deployment, other)
        target = at("/api/callback", state=STATIC_STATE, code=f"junk {number}")
        (answer,) = fail(instance[number % 2], client, 1, ("GET", target, [JSON]))
        if number < 3:
            expect_problem(answer, 502, "code-refused")
        else:
            expect_problem(answer, 429, "too-many-failures")
    assert len(endpoint.seen) == 3
    # A login that was begun here goes on.
    state = deployment.begin()
    expect_page(deployment.callback(HTML, code="a-code", state=state))


def test_checklist_62_right_guess_counts_like_the_wrong_ones_before_it(
    deploy: Deploy, endpoint: TokenEndpoint, address: str
) -> None:
    deployment = deploy(**endpoint.environ, OAUTH_STATE=STATIC_STATE, FAILURE_LIMIT="3")
    fail(deployment, address, 3, ("GET", "/api/callback?code=a&state=1", [JSON]))
    right = ("GET", at("/api/callback", state=STATIC_STATE, code="a-code"), [JSON])
    expect_problem(fail(deployment, address, 1, right)[0], 429, "too-many-failures")
    assert endpoint.seen == []
    assert fail(deployment, next(_addresses), 1, right)[0].status_code == 200


@pytest.mark.usefixtures("address")
def test_checklist_63_error_without_a_login_is_logged_until_there_are_too_many(
    deploy: Deploy,
) -> None:
    deployment = deploy(FAILURE_LIMIT="2")
    for number in range(4):
        deployment.callback(JSON, error="invalid_scope", error_description=f"part\n{number}\x1b")
    state = deployment.begin()
    deployment.callback(JSON, error="access_denied", error_description="of a login", state=state)
    log = deployment.running.log()
    assert "invalid_scope: part 1" in log
    assert "invalid_scope: part 2" not in log
    assert "access_denied: of a login" in log


def test_many_failures_at_once_are_counted_like_one_by_one(
    limited: Deployment, address: str
) -> None:
    one = Call(method="GET", target="/api/token", headers=(WRONG,), client=address)
    statuses = [answer.status_code for answer in limited.together([one] * 30)]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= LIMIT


@on_each_host
def test_forged_header_makes_no_other_address(limited: Deployment, address: str) -> None:
    names = ("x-forwarded-for", "x-real-ip", "x-vercel-forwarded-for", "true-client-ip")
    answers = [
        fail(
            limited,
            address,
            1,
            ("GET", "/api/token", [(name, f"198.51.100.{number}") for name in names]),
        )
        for number in range(LIMIT + 1)
    ]
    expect_too_many(answers[-1][0])


@on_each_host_and_store
@pytest.mark.usefixtures("address")
def test_neither_store_nor_log_has_the_address(limited: Deployment) -> None:
    address = "2001:db8:85a3:8d3:1319:8a2e:370:7348"
    expect_too_many(fail(limited, address, LIMIT + 1, ("GET", "/api/token", []))[-1])
    kept, log = raw_content(limited.environ), limited.running.log()
    assert "count" in kept
    assert "too-many" not in log
    assert "too many failed requests from this address" in log
    for text in (kept, "\n".join(line for line in log.splitlines() if "functions." in line)):
        assert "85a3" not in text


# One by one


class Counting(MemoryStore):
    """A store that counts its calls, and is away where the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.is_away = False

    async def count(self, key: str, *, window_ends: datetime) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailableError("planned")
        return await super().count(key, window_ends=window_ends)


REFUSAL = problem("api-key-invalid", "refused").problem
ONE = "192.0.2.1"


class Instance:
    """One instance's limits, over a store and a clock that others may share."""

    def __init__(self, other: "Instance | None" = None) -> None:
        self.store: Counting = other.store if other else Counting()
        self.clock: SetClock = other.clock if other else SetClock()
        self.limits = FailureLimits(
            store=self.store, clock=self.clock, keys=(), most=DEFAULT, hash_keys=some_keys
        )

    async def fail_once(self, client: str = ONE) -> Problem:
        request = Request(method="GET", path="/", parameters={}, client=client)
        return await self.limits.count_failure(REFUSAL, request)

    async def fails(self, times: int, client: str = ONE) -> tuple[int, int]:
        """Fail so often; return the numbers of ordinary refusals, and of those for too many."""
        return outcome([await self.fail_once(client) for _ in range(times)])

    async def fails_at_once(self, clients: Iterable[str]) -> tuple[int, int]:
        """Fail once from each address, all at the same time."""
        return outcome(await asyncio.gather(*map(self.fail_once, clients)))


def outcome(problems: Sequence[Problem]) -> tuple[int, int]:
    names = [each.name for each in problems]
    return names.count("api-key-invalid"), names.count("too-many-failures")


def from_many(number: int) -> list[str]:
    """So many addresses, of which each host of IPv6 has as many as it likes."""
    return [f"2001:db8:0:{host:x}::1" for host in range(number)]


def test_default_limit_allows_some_failures() -> None:
    assert 10 <= DEFAULT <= 100
    assert Settings.from_environ({**OTHERS, "API_KEY": API_KEY}).failure_limit == DEFAULT


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
async def test_store_is_not_asked_again_once_there_were_too_many(*, at_once: bool) -> None:
    one = Instance()
    failing = one.fails_at_once([ONE] * 500) if at_once else one.fails(500)
    assert await failing == (DEFAULT, 500 - DEFAULT)
    assert one.store.asked == DEFAULT


async def test_instances_count_together_and_each_asks_once_more() -> None:
    first = Instance()
    second = Instance(first)
    assert await first.fails(20) == (20, 0)
    assert await second.fails(20) == (10, 10)
    assert first.store.asked == 30
    assert await first.fails(20) == (0, 20)
    assert first.store.asked == 31


async def test_line_is_logged_once_a_window(caplog: pytest.LogCaptureFixture) -> None:
    one = Instance()
    for windows in (1, 2):
        await one.fails(200)
        assert caplog.text.count("too many failed requests") == windows
        one.clock.at += WINDOW


async def test_next_window_begins_at_nothing() -> None:
    one = Instance()
    await one.fails(DEFAULT + 1)
    end = window_end(one.clock.at)
    one.clock.at = end - timedelta(microseconds=1)
    assert await one.fails(1) == (0, 1)
    one.clock.at = end
    assert await one.fails(1) == (1, 0)


@pytest.mark.parametrize(
    ("before_the_end", "seconds"),
    [(timedelta(microseconds=1), 1), (timedelta(seconds=1), 1), (WINDOW, 300)],
    ids=str,
)
async def test_retry_after_is_the_end_of_the_window(
    before_the_end: timedelta, seconds: int
) -> None:
    one = Instance()
    one.clock.at = window_end(one.clock.at) - before_the_end
    await one.fails(DEFAULT)
    assert dict((await one.fail_once()).headers)["retry-after"] == str(seconds)


async def test_without_the_store_the_ordinary_refusal_is_answered() -> None:
    one = Instance()
    one.store.is_away = True
    assert await one.fails(100) == (100, 0)
    # They were not counted; later ones are.
    one.store.is_away = False
    assert await one.fails(DEFAULT + 1) == (DEFAULT, 1)


async def test_instance_remembers_some_addresses_and_the_store_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits_module, "MAX_WINDOWS", 100)
    one = Instance()
    await one.fails(DEFAULT + 1)
    for client in from_many(110):
        await one.fail_once(client)
    assert len(one.limits._counts) == 100
    assert await one.fails(5) == (0, 5)


async def test_addresses_without_end_do_not_make_writes_without_end() -> None:
    one = Instance()
    for client in from_many(MAX_WRITES + 10) * 2:
        assert await one.fails(1, client) == (1, 0)
    assert one.store.asked == MAX_WRITES
    # This instance still counts its own failures; the next window begins at 0.
    assert await one.fails(DEFAULT + 1) == (DEFAULT, 1)
    assert one.store.asked == MAX_WRITES
    one.clock.at += WINDOW
    await one.fails(5)
    assert one.store.asked == MAX_WRITES + 5


async def test_addresses_without_end_do_not_make_a_queue_without_end() -> None:
    one = Instance()
    for _ in range(2):
        await one.fails_at_once(from_many(300))
    assert one.store.asked == 2 * MAX_CONCURRENT_WRITES
    # This instance still counts its own failures.
    assert await one.fails(DEFAULT, from_many(300)[-1]) == (DEFAULT - 2, 2)


@pytest.mark.parametrize("is_away", [False, True], ids=["the store counts", "the store is away"])
async def test_addresses_without_end_are_refused_in_their_own_words_all_at_once(
    *, is_away: bool
) -> None:
    one = Instance()
    one.store.is_away = is_away
    # The first is forgotten before the store has answered.
    assert await one.fails_at_once(from_many(MAX_WINDOWS + 10)) == (MAX_WINDOWS + 10, 0)
    assert len(one.limits._counts) == MAX_WINDOWS


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::"),
        # A load balancer's word is the last.
        ("10.0.0.1, 198.51.100.7,192.0.2.1", "192.0.2.1"),
        ("10.0.0.1, nonsense", "unknown"),
        ("", "unknown"),
        ("testclient", "unknown"),
        ("192.0.2.1:80", "unknown"),
    ],
)
def test_failures_are_counted_by_address_or_network(client: str, network: str) -> None:
    assert network_of(client) == network
