"""The libraries themselves, with tokens of the source, against an API that checks them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import Barrier

import httpx
import pytest
import requests

from oauth_callback import LoginNeeded
from oauth_callback.adapters import (
    azure_credential,
    google_refresh_handler,
    httpx_auth,
    requests_auth,
    requests_session,
)
from tests.client.guarded_api import GuardedApi, guarded_api
from tests.client.libraries import LIBRARIES, Library
from tests.client.rig import TOKEN, Rig, rig
from tests.docs.pages import ROOT

_SECOND = timedelta(seconds=1)


@pytest.fixture
def api() -> Iterator[GuardedApi]:
    """Run an API that accepts the first token."""
    with guarded_api("token-1") as running:
        yield running


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_library_uses_the_current_token(name: str, api: GuardedApi) -> None:
    library = LIBRARIES[name]
    pytest.importorskip(library.module)
    with rig() as it:
        call = library.connect(it.source, api.url)
        call()
        first = len(api.seen)
        assert first >= 1
        assert set(api.seen) == {("token-1", 200)}
        _refuse_the_first(it, api)
        call()
        _check_second_call(library, api, first)


def _refuse_the_first(it: Rig, api: GuardedApi) -> None:
    """Let the API refuse the token that the client has, though its time is not over."""
    api.accepted = {"token-2"}
    api.seen.clear()
    it.asked()


def _check_second_call(library: Library, api: GuardedApi, first: int) -> None:
    if not library.tries_again:
        assert set(api.seen) == {("token-1", 401)}
        return
    assert api.seen[0] == ("token-1", 401)
    assert api.seen[1:] == [("token-2", 200)] * first


# A second try


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx, asynchronous"])
def test_the_refusal_is_the_result_if_there_is_no_other_token(name: str, api: GuardedApi) -> None:
    with rig() as it:
        call = LIBRARIES[name].connect(it.source, api.url)
        call()
        _refuse_the_first(it, api)
        it.keeper.refuse_again()
        for _ in range(3):
            call()
        assert api.seen == [("token-1", 401)] * 3
        assert it.asked() == [f"{TOKEN}?refused=1"]
        it.keeper.recover()
        it.wait(60)
        it.keeper.require_login()
        with pytest.raises(LoginNeeded):
            call()


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx, asynchronous"])
def test_the_body_is_sent_again(name: str, api: GuardedApi) -> None:
    with rig() as it:
        it.source.token()
        _refuse_the_first(it, api)
        LIBRARIES[name].connect(it.source, api.url)()
        assert api.bodies == [b"body", b"body"]


def test_requests_sends_a_file_again_from_where_it_began(api: GuardedApi) -> None:
    with rig() as it:
        it.source.token()
        _refuse_the_first(it, api)
        file = BytesIO(b"headbody")
        file.seek(4)
        answer = requests.post(api.url, data=file, auth=requests_auth(it.source), timeout=60)
        assert answer.status_code == 200
        assert [each.status_code for each in answer.history] == [401]
        assert api.bodies == [b"body", b"body"]


def test_a_stream_is_sent_once(api: GuardedApi) -> None:
    def parts() -> Iterator[bytes]:
        yield b"body"

    with rig() as it, httpx.Client(auth=httpx_auth(it.source, httpx)) as client:
        it.source.token()
        _refuse_the_first(it, api)
        # With a length: the server of the test reads no chunks.
        headers = {"content-length": "4"}
        assert client.post(api.url, content=parts(), headers=headers).status_code == 401
        session = requests_session(it.source)
        request = requests.Request("POST", api.url, data=parts(), auth=session.auth).prepare()
        del request.headers["transfer-encoding"]
        request.headers["content-length"] = "4"
        assert session.send(request).status_code == 401
        assert api.bodies == [b"body", b"body"]


@pytest.mark.parametrize("name", ["requests", "httpx"])
def test_another_host_gets_no_token(name: str, api: GuardedApi) -> None:
    with guarded_api() as other, rig() as it:
        api.redirect = other.url.replace("127.0.0.1", "localhost")
        if name == "requests":
            requests.get(api.url, auth=requests_auth(it.source), timeout=60)
        else:
            with httpx.Client(auth=httpx_auth(it.source), follow_redirects=True) as client:
                client.get(api.url)
        assert {token for token, _ in other.seen} == {""}


def test_google_asks_when_the_keeper_has_another_token(api: GuardedApi) -> None:
    pytest.importorskip("google.auth")
    # google-auth takes a token with fewer than 225 seconds as expired.
    with rig(lifetime=100.0) as it:
        call = LIBRARIES["google-auth"].connect(it.source, api.url)
        call()
        it.wait(90)
        # The time of google-auth has not passed.
        call()
        assert api.seen == [("token-1", 200), ("token-1", 200)]
        assert it.asked() == [TOKEN]


@pytest.mark.parametrize(
    ("lifetime", "is_older", "seconds"),
    [
        pytest.param(1800.0, False, 1740 + 225, id="when the keeper has another one"),
        pytest.param(1800.0, True, 1740 + 225, id="older keeper"),
        pytest.param(None, False, 3600 + 225, id="no expiry"),
        pytest.param(20.0, True, 1 + 225, id="at its end"),
    ],
)
def test_the_expiry_for_google(*, lifetime: float | None, is_older: bool, seconds: float) -> None:
    with rig(lifetime=lifetime, is_older=is_older) as it:
        handler = google_refresh_handler(it.source)
        asked_at = datetime.now(UTC).replace(tzinfo=None)
        access_token, expiry = handler(None, [])
        answered_at = datetime.now(UTC).replace(tzinfo=None)
        assert access_token == "token-1"
        assert asked_at - _SECOND <= expiry - timedelta(seconds=seconds) <= answered_at + _SECOND


def test_a_herd_that_google_sends_after_an_expiry_costs_one_request() -> None:
    with rig() as it, ThreadPoolExecutor(8) as threads:
        handler = google_refresh_handler(it.source)
        barrier = Barrier(8)

        def refresh() -> str:
            barrier.wait()
            return handler(None, [])[0]

        futures = [threads.submit(refresh) for _ in range(8)]
        assert {future.result() for future in futures} == {"token-1"}
        assert it.asked() == [TOKEN]


def test_azure_gets_the_times_that_it_compares() -> None:
    pytest.importorskip("azure.core")
    with rig() as it:
        credential = azure_credential(it.source)
        token = it.source.get()
        assert token.expires_at is not None
        assert token.ask_again_at is not None
        assert credential.get_token("any").expires_on == int(token.expires_at)
        info = credential.get_token_info("any")
        assert info.refresh_on == int(token.ask_again_at)
        assert "token-1" not in repr(it.source)


def test_no_adapter_imports_its_library_before_it_is_used() -> None:
    code = (
        "import sys, oauth_callback.adapters as a;"
        "from oauth_callback import TokenSource;"
        "s = TokenSource('https://keeper.example', 'a-key');"
        "a.requests_auth(s), a.azure_credential(s), a.anthropic_credentials(s);"
        "a.google_refresh_handler(s);"
        "names = {m.partition('.')[0] for m in sys.modules};"
        "print(sorted(names - sys.stdlib_module_names - {'__main__'}))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    printed = subprocess.check_output([sys.executable, "-S", "-c", code], text=True, env=environ)
    assert printed.strip() == "['oauth_callback']"
