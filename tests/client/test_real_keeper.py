"""The client and the real keeper agree: tokens, refusals and errors."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from oauth_callback import KeyRefused, LoginNeeded, NotConfigured, TokenSource
from tests.client.real_keeper import SharedClock, real_keeper
from tests.functions.token_endpoint import token_endpoint

CALLERS = 20


def test_a_session_with_a_real_keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SharedClock(tmp_path / "clock")
    with token_endpoint() as endpoint, real_keeper(clock, endpoint, monkeypatch):
        source = TokenSource(clock=lambda: clock.seconds)
        used = source.get()
        assert used.access_token == endpoint.given[-1]["access_token"]
        assert used.scope == "read"
        # An older keeper refreshes once in 10 seconds.
        clock.move(11)
        together = Barrier(CALLERS)

        def replace() -> str:
            together.wait()
            return source.get(refused=used).access_token

        with ThreadPoolExecutor(CALLERS) as threads:
            futures = [threads.submit(replace) for _ in range(CALLERS)]
            replaced = {future.result() for future in futures}
        assert replaced == {endpoint.given[-1]["access_token"]} != {used.access_token}
        # The adoption, and one refresh for all.
        assert len(endpoint.seen) == 2

        with pytest.raises(LoginNeeded, match="Run `oauth-callback login crm`") as raised:
            TokenSource(connection="crm").token()
        assert (raised.value.cause, raised.value.link) == ("never-authorized", None)
        with pytest.raises(NotConfigured, match="Invalid connection name"):
            TokenSource(connection="a b").token()
        with pytest.raises(KeyRefused, match="unknown"):
            TokenSource(source.keeper.settings.url, "another-key-of-nobody").token()
