"""The keys change step by step under load: no request fails, and in the end the old one is gone."""

from base64 import b64encode
from collections.abc import Iterator
from functools import partial

import pytest

from tests.system.callers import asked_all_the_time
from tests.system.deployment import Deployment, connected, counted, deployed
from tests.system.peers import RefreshPolicy, django_oauth_toolkit
from tests.system.waiting import wait_until

IN_USE = ("one", "two", "three")
IDLE = tuple(f"idle-{number}" for number in range(5))
OLD, NEW = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    peer = partial(django_oauth_toolkit, policy=RefreshPolicy.ROTATION)
    with deployed(peer, rotation="always", count=3) as deployment:
        set_keys(deployment, OLD)
        for name in (*IN_USE, *IDLE):
            with connected(deployment, name) as connection:
                connection.log_in()
        yield deployment


def set_keys(deployment: Deployment, *keys: str) -> None:
    """Give every worker other keys, one after the other, as a platform does."""
    workers = deployment.workers
    workers.environment = {**workers.environment, "ENCRYPTION_KEYS": ",".join(keys)}
    for index in range(len(workers.urls)):
        workers.terminate(index)
        workers.wait(index)
        workers.start(index)


def refresh_all(deployment: Deployment) -> None:
    """Let each connection that is in use be refreshed, by whichever worker is asked first."""
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
    with asked_all_the_time(deployment, IN_USE) as answers:
        set_keys(deployment, OLD, NEW)
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set()
        set_keys(deployment, NEW, OLD)
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set(IDLE)
        said = deployment.workers.administer("reseal")
        assert said[0] == f"encrypted again with the first key: {len(IDLE)}"
        refresh_all(deployment)
        assert sealed_by_older_key(deployment) == set()
        set_keys(deployment, NEW)
        refresh_all(deployment)
    told = [answer for name in IN_USE for answer in answers[name]]
    assert counted(told) == {(200, ""): len(told)}
    stats = deployment.peer.stats()
    assert stats.granted == stats.arrived.total() == 4 * len(IN_USE), stats
    for name in IDLE:
        with connected(deployment, name) as connection:
            assert counted(connection.ask()) == {(200, ""): 1}
    print(f"{len(told)} requests while the keys changed")  # noqa: T201 - how many there were


@pytest.mark.usefixtures("plain_loopback")
def test_without_the_first_step_requests_fail_and_nothing_is_lost(deployment: Deployment) -> None:
    workers = deployment.workers
    workers.environment = {**workers.environment, "ENCRYPTION_KEYS": f"{NEW},{OLD}"}
    workers.terminate(0)
    workers.wait(0)
    workers.start(0)
    with connected(deployment, "one") as connection:
        connection.expire_access_token()
        told = connection.ask(3, workers=[0, 1, 2])
        assert counted(told) == {(200, ""): 1, (500, "record-unreadable"): 2}
        set_keys(deployment, NEW, OLD)
        assert counted(connection.ask(3)) == {(200, ""): 3}
