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
            answers[name] += connection.ask()
            time.sleep(PAUSE)

    with ThreadPoolExecutor(len(names)) as callers:
        asked = [callers.submit(ask, name) for name in names]
        try:
            wait_until(lambda: all(answers.values()))
            yield answers
        finally:
            is_over.set()
        for caller in asked:
            caller.result()
