"""`Keeper`: each answer of the server as a result or a typed error, without secrets."""

import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from functions.http.problems import PROBLEMS, TYPE_PREFIX
from oauth_callback import (
    Keeper,
    KeeperError,
    KeyRefused,
    LoginNeeded,
    NotConfigured,
    Settings,
    TryLater,
)
from oauth_callback.testing import FakeKeeper

KEY = "not-a-real-key-of-anything"
SECRET = "not-a-real-token-of-anything"


@contextmanager
def raw(answer: bytes | Callable[[bytes], bytes]) -> Iterator[str]:
    """Answer every connection with these bytes, and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked = connection.recv(65536)
                    connection.sendall(answer(asked) if callable(answer) else answer)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def http(status: str, body: str = "", *headers: str) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", body]).encode()


def ask(url: str, **options: float) -> KeeperError:
    """Ask for a token, and return the error. Its traceback must not have a secret."""
    with pytest.raises(KeeperError) as raised:
        Keeper(Settings(url, KEY), **options).token()
    error = raised.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert SECRET not in shown
    assert KEY not in shown
    assert error.__context__ is None
    return error


EXPECTED = {
    **dict.fromkeys(PROBLEMS, NotConfigured),
    "authorization-required": LoginNeeded,
    "not-authorized": LoginNeeded,
    "api-key-missing": KeyRefused,
    "api-key-invalid": KeyRefused,
    "key-not-allowed": KeyRefused,
    **{name: TryLater for name, (status, _) in PROBLEMS.items() if status in {429, 502, 503}},
    "unexpected": TryLater,
}


def test_every_problem_of_the_server_has_a_class() -> None:
    for name, (status, title) in PROBLEMS.items():
        document = f'{{"type": "{TYPE_PREFIX}{name}", "title": "{title}", "detail": "The reason."}}'
        with raw(http(f"{status.value} {title}", document, "retry-after: 7")) as url:
            error = ask(url)
        assert type(error) is EXPECTED[name], name
        assert error.problem == name
        assert str(error).startswith("The reason.")
        if isinstance(error, TryLater):
            assert error.retry_after == 7


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        pytest.param(http("502 Bad Gateway", "<html>"), TryLater, "status 502", id="proxy"),
        pytest.param(http("429 Slow Down"), TryLater, "status 429", id="platform's limit"),
        pytest.param(http("404 Not Found", "<html>"), NotConfigured, "status 404", id="no keeper"),
        pytest.param(http("404 Not Found", "{}"), NotConfigured, "status 404", id="another API"),
        pytest.param(http("200 OK", "<html>"), NotConfigured, "status 200", id="captive portal"),
        pytest.param(http("200 OK", "[" * 100_000), NotConfigured, "status 200", id="deep"),
        pytest.param(http("200 OK", "[]"), NotConfigured, "status 200", id="list"),
        pytest.param(http("200 OK", "\xff"), NotConfigured, "status 200", id="not JSON"),
        pytest.param(
            http("302 Found", "", f"location: https://other.example/{SECRET}"),
            NotConfigured,
            "answers with a redirect",
            id="redirect",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n" + SECRET.encode(),
            TryLater,
            "cut off",
            id="cut off",
        ),
        pytest.param(SECRET.encode(), TryLater, "cut off", id="not HTTP"),
        pytest.param(b"", TryLater, "sent no answer", id="closed"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_100_000, TryLater, "larger than", id="too large"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
            TryLater,
            "too many headers",
            id="too many headers",
        ),
    ],
)
def test_an_answer_that_is_not_the_keepers(
    answer: bytes, kind: type[KeeperError], message: str
) -> None:
    with raw(answer) as url:
        error = ask(url)
    assert type(error) is kind
    assert message in str(error)
    assert error.problem is None


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ("{}", "access_token"),
        ('{"access_token": ""}', "access_token"),
        ('{"access_token": 1}', "access_token"),
        (f'{{"access_token": "{SECRET}\\r\\nx: y"}}', "access_token"),
        (f'{{"access_token": "{SECRET}", "token_type": "a\\nb"}}', "token_type"),
        (f'{{"access_token": "{SECRET}", "expires_in": "1"}}', "expires_in"),
        (f'{{"access_token": "{SECRET}", "expires_in": true}}', "expires_in"),
        (f'{{"access_token": "{SECRET}", "expires_in": NaN}}', "expires_in"),
        (f'{{"access_token": "{SECRET}", "expires_in": 1e300}}', "expires_in"),
        (f'{{"access_token": "{SECRET}", "ask_again_in": []}}', "ask_again_in"),
        (f'{{"access_token": "{SECRET}", "generation": 1.5}}', "generation"),
        (f'{{"access_token": "{SECRET}", "generation": false}}', "generation"),
        (f'{{"access_token": "{SECRET}", "scope": ["a"]}}', "scope"),
    ],
)
def test_a_malformed_token(members: str, named: str) -> None:
    with raw(http("200 OK", members)) as url:
        error = ask(url)
    assert isinstance(error, NotConfigured)
    assert f"'{named}'" in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 1.0),
        ("soon", 1.0),
        ("-5", 1.0),
        ("9" * 400, 1.0),
        ("Mon, 30 Nov 2020 00:00:00 GMT", 1.0),
    ],
)
def test_retry_after_is_read(header: str, seconds: float) -> None:
    with raw(http("503 Unavailable", "", f"retry-after: {header}")) as url:
        error = ask(url)
    assert isinstance(error, TryLater)
    assert error.retry_after == seconds


def test_a_silent_keeper_costs_the_timeout_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = ask(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.05)
    assert "timed out" in str(error)


def test_a_body_that_never_ends_costs_the_timeout_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_over = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not is_over.wait(0.01):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        dripping = threading.Thread(target=drip)
        dripping.start()
        error = ask(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        is_over.set()
        dripping.join()
    assert "timed out" in str(error)


def test_nothing_listens() -> None:
    with FakeKeeper() as keeper:
        url = keeper.url
    error = ask(url)
    assert isinstance(error, TryLater)
    assert "Cannot reach the keeper at 127.0.0.1 (Connection refused)" in str(error)


def test_the_request_has_the_key_in_a_header_only(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy for this machine's loopback would read the key.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with FakeKeeper() as keeper:
        keeper.keeper().token("a&b", min_ttl=5, refused=1)
        (seen,) = keeper.requests
    assert (seen.method, seen.path) == ("GET", "/api/token")
    assert seen.params == {"connection": "a&b", "min_ttl": "5", "refused": "1"}
    assert seen.headers["x-api-key"] == keeper.key
    assert "authorization" not in seen.headers
    assert seen.headers["host"] == keeper.url.removeprefix("http://")
    assert seen.headers["user-agent"].startswith("oauth-callback-client/")


@pytest.mark.parametrize(
    "error",
    [
        LoginNeeded("Log in.", cause="revoked", link="https://x.example", problem="p"),
        TryLater("Later.", retry_after=5.0, problem="p"),
        KeyRefused("No.", problem="p"),
    ],
)
def test_an_error_survives_its_way_to_another_process(error: KeeperError) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_the_text_of_a_server_cannot_drive_a_terminal() -> None:
    document = f'{{"type": "{TYPE_PREFIX}unexpected", "detail": "a\\u001b[2J\\nb{"x" * 2000}"}}'
    with raw(http("500 Internal Server Error", document)) as url:
        error = ask(url)
    assert str(error).startswith("a [2J b")
    assert len(str(error)) == 1000
