"""Programs that ask for tokens all the time, while something happens to their deployment."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from threading import Event

from tests.system.deployment import Answer, Connection, Deployment
from tests.system.waiting import wait_until

# In seconds, between an answer and the next request.
PAUSE = 0.05
NO_ANSWER = 0


@contextmanager
def asked_all_the_time(
    deployment: Deployment, names: Sequence[str]
) -> Iterator[dict[str, list[Answer]]]:
    """Ask the workers in turn for the token of each connection, before and during the block."""
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    is_over = Event()

    def ask(name: str) -> None:
        connection = Connection(deployment, name)
        for worker in cycle(range(len(deployment.workers.urls))):
            if is_over.is_set():
                return
            [answer] = connection.ask(workers=[worker])
            # A server that stops may close a connection whose request it has not read. Clients
            # repeat such a request (RFC 9110 §9.2.2). A request that the application began must
            # be answered.
            if answer.status == NO_ANSWER and not deployment.workers.began(worker, answer.port):
                [answer] = connection.ask(workers=[worker])
            answers[name].append(answer)
            time.sleep(PAUSE)

    with ThreadPoolExecutor(len(names)) as callers:
        asking = [callers.submit(ask, name) for name in names]
        try:
            wait_until(lambda: all(answers.values()))
            yield answers
        finally:
            is_over.set()
        for caller in asking:
            caller.result()
