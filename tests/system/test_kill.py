"""Workers killed at random moments of refreshes: what that costs, counted.

Only a refresh that the provider granted, and whose answer died with the worker, may cost a login;
where the provider takes a used refresh token again for a while, not even that.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from tests.system.deployment import (
    Answer,
    Connection,
    authorization_required,
    authorized,
    only_token,
    refreshes,
    refreshing,
    single_connection,
)
from tests.system.peers import RefreshPolicy, django_oauth_toolkit, oidc_provider

KILL_ROUNDS = 15
KILL_ROUNDS_WITH_GRACE = 6
CALLERS = 20
SEED = 3
LEASE = timedelta(seconds=60)
# In seconds. Half of it is a lease, and the rest is more than a round takes.
GRACE = 120
# In seconds. From the callers' start until the tokens are stored it takes little more than the
# time that the provider holds the request for.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.4
LATEST_KILL = 0.5
# In seconds. Who will be killed is called so much before the others, and so often begins.
LONGEST_HEAD_START = 0.04
# In seconds. A living worker has stored long before what came of a request that is over, and the
# others have seen it.
LONGEST_WAIT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one kill came to."""

    cut_off: int
    """Callers that got no answer."""
    left_behind: bool
    """The attempt was the killed worker's, and nobody was told what came of it."""
    sent: bool
    """The provider had its request by then."""
    answer_lost: bool
    """The provider had granted it."""
    calls: int
    login: bool
    """A person was asked for."""
    refused: int
    """Callers that got a token that the provider does not accept."""
    seconds: float


def test_kill_costs_a_login_only_where_it_takes_the_answer_along(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with single_connection(oidc_provider) as connection:
        rounds = kill_again_and_again(connection, KILL_ROUNDS)
    with capsys.disabled():
        report("oidc-provider, reuse ends the grant", rounds)
    assert all(a_round.login == a_round.answer_lost for a_round in rounds)


def test_kill_costs_no_login_where_the_old_refresh_token_works_for_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = RefreshPolicy.ROTATION_WITH_GRACE
    peer = partial(django_oauth_toolkit, policy=policy, grace=GRACE)
    rotation = f"always;grace={GRACE}s;ends-access-token"
    with single_connection(peer, rotation=rotation) as connection:
        rounds = kill_again_and_again(connection, KILL_ROUNDS_WITH_GRACE)
        # At random moments this may not have happened.
        kill_while_the_request_is_at_the_provider(connection)
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(2, granted=2)
    with capsys.disabled():
        report(f"django-oauth-toolkit, grace of {GRACE} s", rounds)
    assert not any(a_round.login for a_round in rounds)


def kill_again_and_again(connection: Connection, number: int) -> list[Round]:
    random = Random(SEED)  # noqa: S311  # moments are to be repeatable, not secret
    rounds = []
    for _ in range(number):
        a_round = kill_in_a_refresh(connection, random)
        rounds.append(a_round)
        # The request of the killed worker, and one more; no other, and nobody is served in vain.
        assert a_round.calls == a_round.sent + a_round.left_behind, a_round
        assert a_round.refused == 0, a_round
        if a_round.login:
            connection.log_in()
            assert connection.is_accepted(connection.ask()[0].token)
    return rounds


def kill_in_a_refresh(connection: Connection, random: Random) -> Round:
    before = time.monotonic()
    delay = random.uniform(SHORTEST_DELAY, LONGEST_DELAY)
    head_start, moment = random.uniform(0, LONGEST_HEAD_START), random.uniform(0, LATEST_KILL)
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
    connection.wait_until(lambda: connection.peer.stats().in_flight == 0)
    left_behind = False
    try:
        others.result(LONGEST_WAIT)
    except TimeoutError:
        left_behind = True
        refreshing(connection.record())
    at_provider = connection.peer.stats()
    replaced = connection.tokens.generation - generation
    if left_behind:
        connection.let_time_pass(LEASE)
    answers = first.result() + others.result()
    return Round(
        cut_off=sum(answer.status == 0 for answer in answers),
        left_behind=left_behind,
        sent=at_provider.arrived.total() > 0,
        answer_lost=at_provider.granted > replaced,
        calls=connection.peer.stats().arrived.total(),
        login=is_login_needed(connection, answers),
        refused=sum(not connection.is_accepted(token) for token in served(answers)),
        seconds=time.monotonic() - before,
    )


def kill_while_the_request_is_at_the_provider(connection: Connection) -> None:
    connection.peer.reset_stats()
    connection.expire_access_token()
    connection.peer.plan_faults("delay:1")
    connection.ask_in_background(worker=0)
    connection.workers.kill(0)
    connection.workers.start(0)
    connection.wait_until(lambda: connection.peer.stats() == refreshes(1, granted=1))
    refreshing(connection.record())
    connection.let_time_pass(LEASE)


def is_login_needed(connection: Connection, answers: Sequence[Answer]) -> bool:
    """Tell by what everybody was told who was not cut off: all the same, and what is stored."""
    told = {(answer.status, answer.problem) for answer in answers if answer.status}
    if told == {(401, "authorization-required")}:
        causes = {answer.members["cause"] for answer in answers if answer.status}
        assert causes == {"refresh-answer-lost"}
        authorization_required(connection.record())
        return True
    assert told == {(200, "")}
    assert set(served(answers)) == {authorized(connection.record()).tokens.access_token}
    return False


def served(answers: Sequence[Answer]) -> list[str]:
    return [answer.token for answer in answers if answer.status == 200]


def report(title: str, rounds: Sequence[Round]) -> None:
    counts = {
        "callers": CALLERS * len(rounds),
        "kills": len(rounds),
        "of the worker that was refreshing": sum(a_round.left_behind for a_round in rounds),
        "after it had sent": sum(a_round.left_behind and a_round.sent for a_round in rounds),
        "and the provider granted": sum(a_round.answer_lost for a_round in rounds),
        "logins needed": sum(a_round.login for a_round in rounds),
        "provider calls": sum(a_round.calls for a_round in rounds),
        "refused tokens served": sum(a_round.refused for a_round in rounds),
        "callers cut off": sum(a_round.cut_off for a_round in rounds),
        "seconds": round(sum(a_round.seconds for a_round in rounds)),
    }
    lines = [f"{number:6} {what}" for what, number in counts.items()]
    sys.stdout.write("\n".join(["", f"{title} (seed {SEED})", *lines, ""]))
