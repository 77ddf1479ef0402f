"""Workers killed at random moments of refreshes: what that costs, counted.

Only a refresh that the provider granted, and whose answer died with the worker, may cost a login;
where the provider takes a used refresh token again for a while, not even that.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random

from tests.simulation.faults import Blow, Point
from tests.system.account import Account, RecordProperty, accounted
from tests.system.deployment import (
    Answer,
    Asked,
    Connection,
    is_login_needed,
    only_token,
    refreshes,
    refreshing,
    single_connection,
)
from tests.system.peers import RefreshPolicy, django_oauth_toolkit, oidc_provider
from tests.system.promises import GRACE_REPEATS, REUSE_REVOKES, may_cost_a_login
from tests.system.stores import WorkersStore
from tests.system.waiting import wait_until
from tests.thorough import times

ROUNDS = times(100)
ROUNDS_WITH_GRACE = times(40)
CALLERS = 20
SEED = 3
LEASE = timedelta(seconds=60)
# In seconds. Half of it is a lease, and the rest is more than a round takes.
GRACE = 120
# In seconds. From the callers' start until the tokens are stored it takes little more than the
# time that the provider holds the request for.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.4
LATEST_KILL = 0.5
# So many kills are aimed at the instant at which the answer comes; in seconds, so far beyond the
# delay it may be.
AIMED = 1 / 2
LONGEST_AIM = 0.08
# In seconds. Who will be killed is called so much before the others, and so often begins.
LONGEST_HEAD_START = 0.08
# In seconds. A living worker has stored long before what came of a request that is over, and the
# others have seen it.
LONGEST_WAIT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one kill came to."""

    left_at: Point | None
    """Where the killed worker's attempt had come to; None if it had none, or stored its answer."""
    sent: bool
    """The provider had a request by then."""
    answer_lost: bool
    """The provider had granted it."""
    calls: int
    login: bool
    """A person was asked for."""
    answers: Sequence[Answer] = field(repr=False)
    refused: int
    """Callers that got a token that the provider does not accept."""


def test_kill_costs_a_login_only_where_it_takes_the_answer_along(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    with (
        single_connection(oidc_provider, store=store.environ) as connection,
        accounted(record_property, "kills") as account,
    ):
        rounds = kill_again_and_again(connection, store.rounds(ROUNDS), account)
    assert all(a_round.login == a_round.answer_lost for a_round in rounds)
    assert_promised(REUSE_REVOKES, rounds)
    # Random as the moments are, the one that may cost a login is among them, and others.
    assert {Point.SENT, None} <= {a_round.left_at for a_round in rounds}


def test_kill_costs_no_login_where_the_old_refresh_token_works_for_a_while(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    policy = RefreshPolicy.ROTATION_WITH_GRACE
    peer = partial(django_oauth_toolkit, policy=policy, grace=GRACE)
    rotation = f"always;grace={GRACE}s;ends-access-token"
    with (
        single_connection(peer, rotation=rotation, store=store.environ) as connection,
        accounted(record_property, "kills") as account,
    ):
        rounds = kill_again_and_again(connection, store.rounds(ROUNDS_WITH_GRACE), account)
        # At random moments this may not have happened.
        kill_while_the_request_is_at_the_provider(connection)
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(2, granted=2)
    assert_promised(GRACE_REPEATS, rounds)
    assert account.logins == 0


def assert_promised(kind: str, rounds: Sequence[Round]) -> None:
    """Hold against the page what was left by workers that died in their attempts."""
    costly = Counter(a_round.left_at for a_round in rounds if a_round.login)
    assert None not in costly
    broken = [point for point in costly if point and not may_cost_a_login(kind, Blow.CRASH, point)]
    assert not broken, costly


def kill_again_and_again(connection: Connection, number: int, account: Account) -> list[Round]:
    random = Random(SEED)  # noqa: S311  # moments are to be repeatable, not secret
    rounds = []
    for _ in range(number):
        a_round = kill_in_a_refresh(connection, random)
        rounds.append(a_round)
        account.rounds += 1
        account.struck[describe(a_round.left_at)] += 1
        account.calls += a_round.calls
        account.logins += a_round.login
        account.answered(a_round.answers, refused=a_round.refused)
        # The request of the killed worker, and one more; no other, and nobody is served in vain.
        assert a_round.calls == a_round.sent + (a_round.left_at is not None), a_round
        assert a_round.refused == 0, a_round
        if a_round.login:
            connection.log_in()
            assert connection.is_accepted(connection.ask()[0].token)
    return rounds


def describe(left_at: Point | None) -> str:
    return "that left no attempt behind" if left_at is None else f"when {left_at.value}"


def kill_in_a_refresh(connection: Connection, random: Random) -> Round:
    delay = random.uniform(SHORTEST_DELAY, LONGEST_DELAY)
    head_start, moment = random.uniform(0, LONGEST_HEAD_START), random.uniform(0, LATEST_KILL)
    if random.random() < AIMED:
        moment = max(0, delay - head_start) + random.uniform(0, LONGEST_AIM)
    victim = random.randrange(len(connection.workers.urls))
    connection.peer.reset_stats()
    connection.expire_access_token()
    generation = connection.tokens.generation
    connection.peer.plan_faults(f"delay:{delay:.3f}")
    first = connection.ask_meanwhile(1, workers=[victim])
    time.sleep(head_start)
    others = connection.ask_meanwhile(CALLERS - 1)
    time.sleep(moment)
    connection.workers.kill(victim)
    connection.workers.start(victim)
    left_at = point_of_death(connection, others)
    at_provider = connection.peer.stats()
    replaced = connection.tokens.generation - generation
    if left_at is not None:
        refreshing(connection.record())
        connection.let_time_pass(LEASE)
    answers = first.result() + others.result()
    return Round(
        left_at=left_at,
        sent=at_provider.arrived.total() > 0,
        answer_lost=at_provider.granted > replaced,
        calls=connection.peer.stats().arrived.total(),
        login=is_login_needed(connection, answers),
        answers=answers,
        refused=connection.refused(answers),
    )


def point_of_death(connection: Connection, others: Asked) -> Point | None:
    """Tell where the killed worker's attempt had come to, if it had one and nobody was told."""
    wait_until(lambda: connection.peer.stats().in_flight == 0)
    if connection.peer.stats().abandoned:
        return Point.SENT
    try:
        others.result(LONGEST_WAIT)
    except TimeoutError:
        arrived = connection.peer.stats().arrived.total()
        return Point.ANSWERED if arrived else Point.INTENT_STORED
    return None


def kill_while_the_request_is_at_the_provider(connection: Connection) -> None:
    connection.peer.reset_stats()
    connection.expire_access_token()
    connection.peer.plan_faults("delay:1")
    connection.ask_in_background(worker=0)
    connection.workers.kill(0)
    connection.workers.start(0)
    wait_until(lambda: connection.peer.stats() == refreshes(1, granted=1))
    refreshing(connection.record())
    connection.let_time_pass(LEASE)
