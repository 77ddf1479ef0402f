"""The keys change step by step under load: no request fails, and the old key is gone in the end."""

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from tests.system.callers import asked_all_the_time
from tests.system.deployment import Deployment, connected, counted, deployed
from tests.system.peers import RefreshPolicy, django_oauth_toolkit
from tests.system.waiting import wait_until
from tests.system.workers import PATIENT

IN_USE = ("one", "two", "three")
IDLE = tuple(f"idle-{number}" for number in range(5))
WORKERS = 2


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    peer = partial(django_oauth_toolkit, policy=RefreshPolicy.ROTATION)
    with deployed(peer, rotation="always", count=WORKERS, app=PATIENT) as deployment:
        set_keys(deployment, new_key())
        for name in (*IN_USE, *IDLE):
            with connected(deployment, name) as connection:
                connection.log_in()
        yield deployment


def new_key() -> str:
    return b64encode(os.urandom(32)).decode()


def set_keys(deployment: Deployment, *keys: str, workers: Sequence[int] = range(WORKERS)) -> None:
    """Restart workers with other keys, one after the other, as a platform does."""
    environment = deployment.workers.environment
    deployment.workers.environment = {**environment, "ENCRYPTION_KEYS": ",".join(keys)}
    for index in workers:
        deployment.workers.terminate(index)
        deployment.workers.wait(index)
        deployment.workers.start(index)


def refresh_all(deployment: Deployment) -> None:
    """Wait until each connection in use is refreshed, by the first worker that is asked."""
    for name in IN_USE:
        with connected(deployment, name) as connection:
            before = connection.tokens.generation
            connection.expire_access_token()
            wait_until(lambda: connection.tokens.generation > before)  # noqa: B023 - waited for


def sealed_by_older_key(deployment: Deployment) -> set[str]:
    """Name the connections whose records the first key has not sealed."""
    found = set()
    for name in (*IN_USE, *IDLE):
        with connected(deployment, name) as connection:
            if connection.record().is_sealed_by_older_key:
                found.add(name)
    return found


@pytest.mark.usefixtures("plain_loopback")
def test_no_request_fails_while_the_keys_change_step_by_step(
    deployment: Deployment,
) -> None:
    old, new = deployment.workers.environment["ENCRYPTION_KEYS"], new_key()
    deployment.peer.reset_stats()
    with asked_all_the_time(deployment, IN_USE) as answers:
        set_keys(deployment, old, new)
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set()
        set_keys(deployment, new, old)
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set(IDLE)
        printed = deployment.workers.administer("reseal")
        assert printed[0] == f"encrypted again with the first key: {len(IDLE)}"
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set()
        set_keys(deployment, new)
        refresh_all(deployment)
    given = [answer for name in IN_USE for answer in answers[name]]
    assert counted(given) == {(200, ""): len(given)}
    stats = deployment.peer.stats()
    assert stats.granted == stats.arrived.total() == 4 * len(IN_USE), stats
    for name in IDLE:
        with connected(deployment, name) as connection:
            assert counted(connection.ask()) == {(200, ""): 1}


@pytest.mark.usefixtures("plain_loopback")
def test_without_the_first_step_requests_fail_and_nothing_is_lost(deployment: Deployment) -> None:
    old, new = deployment.workers.environment["ENCRYPTION_KEYS"], new_key()
    set_keys(deployment, new, old, workers=[0])
    with connected(deployment, "one") as connection:
        connection.expire_access_token()
        answers = connection.ask(WORKERS)
        assert counted(answers) == {(200, ""): 1, (500, "record-unreadable"): 1}
        set_keys(deployment, new, old, workers=[1])
        assert counted(connection.ask(WORKERS)) == {(200, ""): WORKERS}
    set_keys(deployment, new)
