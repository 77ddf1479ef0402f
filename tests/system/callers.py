"""Programs that ask for tokens all the time, while something is done to their deployment."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from tests.system.deployment import Answer, Connection, Deployment
from tests.system.waiting import wait_until

# In seconds, between an answer and the next question.
PAUSE = 0.02
# A server that stops may close a connection that it has accepted and not read. Clients send such a
# request once more (RFC 9110 §9.2.2).
NO_ANSWER = 0


@contextmanager
def asked_all_the_time(
    deployment: Deployment, names: Sequence[str]
) -> Iterator[dict[str, list[Answer]]]:
    """Let programs ask for tokens, one after the other, from before the block until its end."""
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    is_over = Event()

    def ask(name: str) -> None:
        connection = Connection(deployment, name)
        while not is_over.is_set():
            asked = connection.ask()
            if any(answer.status == NO_ANSWER for answer in asked):
                asked = connection.ask()
            answers[name] += asked
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
