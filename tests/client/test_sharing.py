"""One source for many: threads, coroutines and forked processes share its requests."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from oauth_callback import KeeperError, LoginNeeded, TokenSource
from oauth_callback.testing import FakeKeeper
from tests.client.rig import TOKEN, Rig, rig
from tests.system.waiting import wait_until

MANY = 40


def _together(it: Rig, call: Callable[[], str]) -> list[Future[str]]:
    """Let many threads call while the keeper answers nothing. Return once one has asked."""
    with ThreadPoolExecutor(MANY) as threads, it.keeper.hold():
        started = threading.Barrier(MANY)

        def called() -> str:
            started.wait()
            return call()

        futures = [threads.submit(called) for _ in range(MANY)]
        wait_until(lambda: bool(it.keeper.requests))
    return futures


def test_threads_share_the_first_request() -> None:
    with rig() as it:
        assert {future.result() for future in _together(it, it.source)} == {"token-1"}
        assert it.asked() == [TOKEN]


def test_a_herd_with_a_refused_token_sends_one_request() -> None:
    with rig() as it:
        used = it.source.get()
        it.asked()
        futures = _together(it, lambda: it.source.get(refused=used).access_token)
        assert {future.result() for future in futures} == {"token-2"}
        assert it.asked() == [f"{TOKEN}?refused=1"]


def test_threads_do_not_wait_while_the_old_token_is_valid() -> None:
    with rig() as it, ThreadPoolExecutor(1) as threads:
        it.source.token()
        it.wait(1750)
        it.asked()
        with it.keeper.hold():
            asking = threads.submit(it.source)
            wait_until(lambda: bool(it.keeper.requests))
            assert [it.source.token() for _ in range(5)] == ["token-1"] * 5
        assert asking.result() == "token-2"
        assert it.asked() == [TOKEN]


def test_each_thread_gets_an_error_of_its_own() -> None:
    with rig() as it:
        it.keeper.require_login()
        errors = [future.exception() for future in _together(it, it.source)]
        assert {type(error) for error in errors} == {LoginNeeded}
        assert len({id(error) for error in errors}) == MANY
        assert {error.link for error in errors if isinstance(error, LoginNeeded)} == {
            f"{it.keeper.url}/api/login?link=a-link"
        }


def test_an_interrupted_leader_leaves_the_others_to_ask() -> None:
    class Interrupted(BaseException):
        """As Ctrl-C in the main thread."""

    with rig() as it, ThreadPoolExecutor(1) as threads:
        it.keeper.fail("refresh-in-progress", times=1)
        waiting: list[Future[str]] = []

        def interrupt(_seconds: float) -> None:
            waiting.append(threads.submit(source))
            raise Interrupted

        source = it.keeper.source(sleep=interrupt)
        with pytest.raises(Interrupted):
            source.token()
        it.clock.now += 5
        source_sleeps_no_more(source)
        assert waiting[0].result() == "token-1"


def source_sleeps_no_more(source: TokenSource) -> None:
    """Let the next try begin at once."""
    source._asker._sleep = lambda _seconds: None


async def _arrival(it: Rig) -> None:
    """Wait until the keeper has a request."""
    while not it.keeper.requests:  # noqa: ASYNC110 - a thread of the server appends
        await asyncio.sleep(0.001)


def test_coroutines_share_a_request_and_do_not_block_the_loop() -> None:
    async def main(it: Rig) -> None:
        before = threading.active_count()
        with it.keeper.hold():
            asking = [asyncio.create_task(it.source.atoken()) for _ in range(MANY)]
            # The loop runs while the keeper is silent.
            await _arrival(it)
            threads = threading.active_count()
            asking[0].cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert set(results[1:]) == {"token-1"}
        # One that asks for all, and the server's for its request.
        assert threads - before <= 2
        assert (await it.source.aget(refused="token-1")).access_token == "token-2"

    with rig() as it:
        asyncio.run(main(it))
        assert it.asked() == [TOKEN, f"{TOKEN}?refused=1"]


def test_coroutines_do_not_wait_while_the_old_token_is_valid() -> None:
    async def main(it: Rig) -> None:
        with it.keeper.hold():
            asking = asyncio.create_task(it.source.atoken())
            await _arrival(it)
            assert [await it.source.atoken() for _ in range(5)] == ["token-1"] * 5
        assert await asking == "token-2"

    with rig() as it:
        it.source.token()
        it.wait(1750)
        it.asked()
        asyncio.run(main(it))
        assert it.asked() == [TOKEN]


def test_a_coroutine_gets_the_error() -> None:
    with rig() as it:
        it.keeper.require_login()
        with pytest.raises(LoginNeeded):
            asyncio.run(it.source.atoken())


def test_the_loop_ends_while_the_keeper_is_silent() -> None:
    async def impatient(it: Rig) -> None:
        task = asyncio.create_task(it.source.atoken())
        await _arrival(it)
        task.cancel()

    with rig() as it, it.keeper.hold():
        # It would wait for the thread of an executor, which waits for the end of this block.
        asyncio.run(impatient(it))


def _ask_in_child(source: TokenSource, answers: "multiprocessing.Queue[str]") -> None:
    try:
        answers.put(source.get(refused="token-1").access_token)
    except KeeperError as error:
        answers.put(type(error).__name__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks() -> None:
    context = multiprocessing.get_context("fork")
    with rig() as it, ThreadPoolExecutor(1) as threads:
        used = it.source.get()
        answers = context.Queue()
        with it.keeper.hold():
            asking = threads.submit(it.source.get, used)
            wait_until(lambda: len(it.keeper.requests) == 2)
            child = context.Process(target=_ask_in_child, args=(it.source, answers))
            child.start()
            # It sends a request of its own: the parent's thread is not there.
            wait_until(lambda: len(it.keeper.requests) == 3)
        assert asking.result().access_token == "token-2"
        assert answers.get(timeout=60) == "token-2"
        child.join()


def test_a_fake_keeper_needs_its_context() -> None:
    with pytest.raises(RuntimeError, match="with FakeKeeper"):
        _ = FakeKeeper().url
