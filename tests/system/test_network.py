"""Token requests and their answers that get lost or come late, at random: what it costs, counted.

Only where the provider has granted what nobody received is a login needed, and it says so; where
it takes a used refresh token again for a while, not even then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from tests.simulation.faults import NetworkFault
from tests.system.account import Account, RecordProperty, accounted
from tests.system.deployment import (
    Connection,
    counted,
    is_login_needed,
    only_token,
    refreshes,
    single_connection,
)
from tests.system.peers import RefreshPolicy, django_oauth_toolkit, oidc_provider
from tests.system.promises import GRACE_REPEATS, REUSE_REVOKES, may_cost_a_login
from tests.system.stores import StoreKind, WorkersStore
from tests.system.waiting import wait_until

ROUNDS = 60
ROUNDS_WITH_GRACE = 30
CALLERS = 20
SEED = 7
# In seconds. Half of it is a lease, and the rest is more than a round takes.
GRACE = 120
LEASE = timedelta(seconds=60)
# In seconds: more than callers are kept waiting, less than the request's timeout.
LATE = 25
# How the peers bring it about; how late things are is drawn for each round.
FAULTS: Mapping[NetworkFault, str] = {
    NetworkFault.REQUEST_LOST: "drop-request",
    NetworkFault.ANSWER_LOST: "drop-answer",
    NetworkFault.LANDS_LATE: "late-commit:{:.3f}",
    NetworkFault.ANSWER_DELAYED: "delay:{:.3f}",
    NetworkFault.UNAVAILABLE: "refuse-503",
}
LONGEST_DELAY = 1.0
# What the provider has done, and nobody was told of.
GRANTED_UNHEARD = {NetworkFault.ANSWER_LOST, NetworkFault.LANDS_LATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one fault came to."""

    fault: NetworkFault
    login: bool
    """A person was asked for."""


# What becomes of a request to the provider does not depend on where it is written down; these two
# answer fast enough for many rounds.
over_fast_stores = pytest.mark.parametrize(
    "store", [StoreKind.SQLITE, StoreKind.REST], indirect=True, ids=lambda kind: kind.value
)


@over_fast_stores
def test_only_an_answer_that_nobody_heard_costs_a_login(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    with (
        single_connection(oidc_provider, store=store.environ) as connection,
        accounted(record_property, "faults of the network") as account,
    ):
        rounds = spoil_again_and_again(connection, ROUNDS, account)
    assert all(a_round.login == (a_round.fault in GRANTED_UNHEARD) for a_round in rounds)
    assert_promised(REUSE_REVOKES, rounds)


@over_fast_stores
def test_no_fault_costs_a_login_where_the_old_refresh_token_works_for_a_while(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    policy = RefreshPolicy.ROTATION_WITH_GRACE
    peer = partial(django_oauth_toolkit, policy=policy, grace=GRACE)
    rotation = f"always;grace={GRACE}s;ends-access-token"
    with (
        single_connection(peer, rotation=rotation, store=store.environ) as connection,
        accounted(record_property, "faults of the network") as account,
    ):
        rounds = spoil_again_and_again(connection, ROUNDS_WITH_GRACE, account)
    assert account.logins == 0
    assert_promised(GRACE_REPEATS, rounds)


def test_answer_that_comes_when_callers_have_given_up_costs_nothing() -> None:
    with single_connection(oidc_provider) as connection:
        connection.expire_access_token()
        connection.peer.plan_faults(f"delay:{LATE}")
        told = {(503, "refresh-in-progress"): CALLERS}
        assert counted(connection.ask(CALLERS)) == told
        token = only_token(connection.ask(CALLERS))
        assert token == connection.tokens.access_token
        assert connection.is_accepted(token)
        assert connection.peer.stats() == refreshes(1, granted=1)
    assert not may_cost_a_login(REUSE_REVOKES, NetworkFault.ANSWER_DELAYED)


def assert_promised(kind: str, rounds: Sequence[Round]) -> None:
    """Hold what happened against the page."""
    assert {a_round.fault for a_round in rounds} == set(FAULTS)
    costly = {a_round.fault for a_round in rounds if a_round.login}
    assert not {fault for fault in costly if not may_cost_a_login(kind, fault)}


def spoil_again_and_again(connection: Connection, number: int, account: Account) -> list[Round]:
    random = Random(SEED)  # noqa: S311  # a random order is to be repeatable, not secret
    rounds = []
    for _ in range(number):
        fault = random.choice(list(FAULTS))
        delay = random.uniform(0, LONGEST_DELAY)
        login = spoil_a_refresh(connection, fault, delay, account)
        rounds.append(Round(fault=fault, login=login))
        if login:
            connection.log_in()
            assert connection.is_accepted(only_token(connection.ask()))
    return rounds


def spoil_a_refresh(
    connection: Connection, fault: NetworkFault, delay: float, account: Account
) -> bool:
    """Return whether it needs a login."""
    connection.peer.reset_stats()
    connection.expire_access_token()
    connection.peer.plan_faults(FAULTS[fault].format(delay))
    first = connection.ask(CALLERS)
    is_late = fault is NetworkFault.ANSWER_DELAYED
    told = (200, "") if is_late else (503, "provider-unavailable")
    assert counted(first) == {told: CALLERS}
    wait_until(lambda: connection.peer.stats().in_flight == 0)
    if not is_late:
        connection.let_time_pass(LEASE)
    then = connection.ask(CALLERS)
    calls = connection.peer.stats().arrived.total()
    # One for the fault, and one more; no other.
    assert calls == (1 if is_late else 2)
    login = is_login_needed(connection, then)
    account.rounds += 1
    account.struck[fault.value] += 1
    account.calls += calls
    account.logins += login
    account.answered([*first, *then], refused=connection.refused([*first, *then]))
    assert account.refused == 0
    return login
