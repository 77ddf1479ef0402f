"""Workers are killed at random moments of refreshes. The tests count what that costs.

A login is needed only where the provider granted a refresh and the answer was lost with the worker.
Where the provider accepts a used refresh token for a while, no login is needed at all.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import chain, islice, repeat
from random import Random
from typing import TypeAlias

from domain.grant import Refreshing
from tests.simulation.faults import InstanceFault, Point
from tests.system.account import Account, RecordProperty, accounted
from tests.system.deployment import (
    Answer,
    Asked,
    Connection,
    is_login_needed,
    refreshing,
    single_connection,
)
from tests.system.peers import RefreshPolicy, django_oauth_toolkit, oidc_provider
from tests.system.promises import GRACE_REPEATS, REUSE_REVOKES, may_cost_a_login
from tests.system.stores import WorkersStore, over_one_store
from tests.system.waiting import wait_until
from tests.thorough import times

ROUNDS = times(100, usually=10)
ROUNDS_WITH_GRACE = times(40, usually=5)
CALLERS = 20
SEED = 3
LEASE = timedelta(seconds=60)
# In seconds. Half of it is a lease, and the rest is more than a round takes.
GRACE = 120
# In seconds: how long the provider holds a request. The rest of a refresh takes little more.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.4
LATEST_KILL = 0.5
# In seconds. Longer than a worker takes to be killed.
CERTAIN_DELAY = 2
# This part of the kills is aimed at the instant of the answer, or up to so many seconds later.
AIMED = 1 / 2
LONGEST_AIM = 0.08
# In seconds: how much earlier than the others the victim is asked, so that it often begins.
LONGEST_HEAD_START = 0.08
# In seconds. By then a running worker has stored the result of a finished request.
LONGEST_WAIT = 8.0

# Let callers ask, and return at the moment of the kill.
Moment: TypeAlias = Callable[[Connection, Random, int], Sequence[Asked]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The outcome of one kill.

    `left_at` is the point of the killed worker's attempt, if it left one; `sent` whether the
    provider had its request by then, `answer_lost` whether it had granted it. `refused` counts the
    callers whose token the provider refuses.
    """

    left_at: Point | None
    sent: bool
    answer_lost: bool
    calls: int
    login: bool
    answers: Sequence[Answer] = field(repr=False)
    refused: int


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
    assert {Point.SENT, None} <= {a_round.left_at for a_round in rounds}


@over_one_store
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
    assert_promised(GRACE_REPEATS, rounds)
    assert account.logins == 0


def assert_promised(kind: str, rounds: Sequence[Round]) -> None:
    """Compare what killed workers left behind with docs/guarantees.md."""
    costly = Counter(a_round.left_at for a_round in rounds if a_round.login)
    assert None not in costly
    broken = [
        point
        for point in costly
        if point and not may_cost_a_login(kind, InstanceFault.CRASH, point)
    ]
    assert not broken, costly


def kill_again_and_again(connection: Connection, number: int, account: Account) -> list[Round]:
    random = Random(SEED)  # noqa: S311  # moments are to be repeatable, not secret
    rounds = []
    for moment in islice(chain(CERTAIN, repeat(at_random)), number):
        a_round = kill_in_a_refresh(connection, random, moment)
        rounds.append(a_round)
        account.rounds += 1
        account.struck[describe(a_round.left_at)] += 1
        account.calls += a_round.calls
        account.logins += a_round.login
        account.answered(a_round.answers, refused=a_round.refused)
        # The request of the killed worker, and one more.
        assert a_round.calls == a_round.sent + (a_round.left_at is not None), a_round
        assert a_round.refused == 0, a_round
        if a_round.login:
            connection.log_in()
            assert connection.is_accepted(connection.ask()[0].token)
    return rounds


def describe(left_at: Point | None) -> str:
    return "that left no attempt behind" if left_at is None else f"when {left_at.value}"


def kill_in_a_refresh(connection: Connection, random: Random, moment: Moment) -> Round:
    victim = random.randrange(len(connection.workers.urls))
    connection.peer.reset_stats()
    connection.expire_access_token()
    generation = connection.tokens.generation
    asked = moment(connection, random, victim)
    connection.workers.kill(victim)
    connection.workers.start(victim)
    left_at = point_of_death(connection, asked)
    at_provider = connection.peer.stats()
    replaced = connection.tokens.generation - generation
    if left_at is not None:
        refreshing(connection.record())
        connection.let_time_pass(LEASE)
    answers = [answer for group in asked for answer in group.result()]
    return Round(
        left_at=left_at,
        sent=at_provider.arrived.total() > 0,
        answer_lost=at_provider.granted > replaced,
        calls=connection.peer.stats().arrived.total(),
        login=is_login_needed(connection, answers),
        answers=answers,
        refused=connection.refused(answers),
    )


def while_the_request_is_at_the_provider(
    connection: Connection, _random: Random, victim: int
) -> Sequence[Asked]:
    connection.peer.plan_faults(f"delay:{CERTAIN_DELAY}")
    return connection.ask_in_background(worker=victim), connection.ask_meanwhile(CALLERS - 1)


def after_all_were_answered(
    connection: Connection, _random: Random, _victim: int
) -> Sequence[Asked]:
    wait([asked := connection.ask_meanwhile(CALLERS)])
    return [asked]


def at_random(connection: Connection, random: Random, victim: int) -> Sequence[Asked]:
    delay = random.uniform(SHORTEST_DELAY, LONGEST_DELAY)
    head_start, moment = random.uniform(0, LONGEST_HEAD_START), random.uniform(0, LATEST_KILL)
    if random.random() < AIMED:
        moment = max(0, delay - head_start) + random.uniform(0, LONGEST_AIM)
    connection.peer.plan_faults(f"delay:{delay:.3f}")
    first = connection.ask_meanwhile(1, workers=[victim])
    time.sleep(head_start)
    others = connection.ask_meanwhile(CALLERS - 1)
    time.sleep(moment)
    return first, others


CERTAIN: Sequence[Moment] = (while_the_request_is_at_the_provider, after_all_were_answered)


def point_of_death(connection: Connection, asked: Sequence[Asked]) -> Point | None:
    """Return the point of the attempt that the killed worker left, if it left one."""
    wait_until(lambda: connection.peer.stats().in_flight == 0)
    if connection.peer.stats().abandoned:
        return Point.SENT
    _, waiting = wait(asked, LONGEST_WAIT)
    if not waiting or not isinstance(connection.record().grant, Refreshing):
        return None
    return Point.ANSWERED if connection.peer.stats().arrived else Point.INTENT_STORED
