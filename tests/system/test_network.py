"""The network loses or delays token requests and responses. The tests count the logins that costs.

A login is needed only where the provider granted a request and the answer was lost. Where the
provider accepts a used refresh token for a while, no login is needed at all.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from random import Random

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
from tests.system.promises import REUSE_REVOKES, may_cost_a_login
from tests.system.stores import WorkersStore, over_one_store
from tests.system.waiting import wait_until
from tests.thorough import times

# Each is a round for each fault.
ROUNDS = times(12, usually=2)
ROUNDS_WITH_GRACE = times(6, usually=1)
CALLERS = 20
SEED = 7
# In seconds. Half of it is a lease, and the rest is more than a round takes.
GRACE = 120
LEASE = timedelta(seconds=60)
# In seconds: more than callers are kept waiting, less than the request's timeout.
LATE = 25
# In the words of the peers. Each round draws its own delay.
FAULTS: Mapping[NetworkFault, str] = {
    NetworkFault.REQUEST_LOST: "drop-request",
    NetworkFault.ANSWER_LOST: "drop-answer",
    NetworkFault.LANDS_LATE: "late-commit:{:.3f}",
    NetworkFault.ANSWER_DELAYED: "delay:{:.3f}",
    NetworkFault.UNAVAILABLE: "refuse-503",
}
LONGEST_DELAY = 1.0
# The provider has granted the request, and nobody received the answer.
GRANTED_UNHEARD = {NetworkFault.ANSWER_LOST, NetworkFault.LANDS_LATE}


@over_one_store
def test_only_an_answer_that_nobody_heard_costs_a_login(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    with (
        single_connection(oidc_provider, store=store.environ) as connection,
        accounted(record_property, "faults of the network") as account,
    ):
        costly = spoil_again_and_again(connection, ROUNDS, account)
    assert costly == Counter(dict.fromkeys(GRANTED_UNHEARD, ROUNDS))
    assert all(may_cost_a_login(REUSE_REVOKES, fault) for fault in costly)


@over_one_store
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
        costly = spoil_again_and_again(connection, ROUNDS_WITH_GRACE, account)
    assert not costly


def test_answer_that_comes_when_callers_have_given_up_costs_nothing() -> None:
    with single_connection(oidc_provider) as connection:
        connection.expire_access_token()
        connection.peer.plan_faults(f"delay:{LATE}")
        assert counted(connection.ask(CALLERS)) == {(503, "refresh-in-progress"): CALLERS}
        token = only_token(connection.ask(CALLERS))
        assert token == connection.tokens.access_token
        assert connection.is_accepted(token)
        assert connection.peer.stats() == refreshes(1, granted=1)
    assert not may_cost_a_login(REUSE_REVOKES, NetworkFault.ANSWER_DELAYED)


def spoil_again_and_again(
    connection: Connection, rounds: int, account: Account
) -> Counter[NetworkFault]:
    """Spoil a refresh by each fault, in a random order. Count the faults that cost a login."""
    random = Random(SEED)  # noqa: S311  # the order is to be repeatable, not secret
    faults = [*FAULTS] * rounds
    random.shuffle(faults)
    costly: Counter[NetworkFault] = Counter()
    for fault in faults:
        if spoil_a_refresh(connection, fault, random.uniform(0, LONGEST_DELAY), account):
            costly[fault] += 1
            connection.log_in()
            assert connection.is_accepted(only_token(connection.ask()))
    return costly


def spoil_a_refresh(
    connection: Connection, fault: NetworkFault, delay: float, account: Account
) -> bool:
    """Return whether a login is needed."""
    connection.peer.reset_stats()
    connection.expire_access_token()
    connection.peer.plan_faults(FAULTS[fault].format(delay))
    first = connection.ask(CALLERS)
    is_late = fault is NetworkFault.ANSWER_DELAYED
    expected = (200, "") if is_late else (503, "provider-unavailable")
    assert counted(first) == {expected: CALLERS}
    wait_until(lambda: connection.peer.stats().in_flight == 0)
    if not is_late:
        connection.let_time_pass(LEASE)
    then = connection.ask(CALLERS)
    calls = connection.peer.stats().arrived.total()
    # The spoilt request, and one more.
    assert calls == (1 if is_late else 2)
    login = is_login_needed(connection, then)
    account.rounds += 1
    account.struck[fault.value] += 1
    account.calls += calls
    account.logins += login
    account.answered([*first, *then], refused=connection.refused([*first, *then]))
    assert account.refused == 0
    return login
