"""`adopt`: the command adopts the tokens of a file or of standard input."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functions.commands import environ_in, run_admin
from tests.functions.token_endpoint import Answer, TokenEndpoint, token_endpoint


@pytest.fixture
def provider() -> Iterator[TokenEndpoint]:
    """A provider that takes every refresh token."""
    with token_endpoint() as endpoint:
        yield endpoint


def test_standard_input_is_read(provider: TokenEndpoint, tmp_path: Path) -> None:
    environ = {**environ_in(tmp_path), **provider.environ}
    for _ in range(2):
        status, printed, _ = run_admin(environ, "adopt", "-", logs='{"refresh_token": "r"}')
        assert status == 0
        assert "Stop the other program" in printed
    assert len(provider.seen) == 1
    status, _, said = run_admin(environ, "adopt", "-", logs="another")
    assert (status, "connection works" in said) == (1, True)
    assert run_admin(environ, "adopt", "--replace", "-", logs="another")[0] == 0


def test_the_connection_is_an_option(provider: TokenEndpoint, tmp_path: Path) -> None:
    environ = {**environ_in(tmp_path), **provider.environ}
    file = tmp_path / "tokens"
    file.write_text("a-refresh-token\n")
    status, printed, _ = run_admin(environ, "adopt", "--connection", "alice", str(file))
    assert (status, printed.partition(":")[0]) == (0, "alice")


@pytest.mark.parametrize(
    ("arguments", "text", "named"),
    [
        pytest.param(("-",), "{}", "refresh_token is missing", id="member"),
        pytest.param(("-",), "se cret", "Invalid refresh_token", id="token"),
        pytest.param(("no-such-file",), "", "cannot be read", id="file"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path, arguments: tuple[str, ...], text: str, named: str
) -> None:
    status, _, said = run_admin(environ_in(tmp_path), "adopt", *arguments, logs=text)
    assert status == 1
    assert named in said
    assert "cret" not in said


def test_a_refusal_is_reported(provider: TokenEndpoint, tmp_path: Path) -> None:
    provider.plan(Answer.json({"error": "invalid_grant"}, status=400))
    environ = {**environ_in(tmp_path), **provider.environ}
    status, _, said = run_admin(environ, "adopt", "-", logs="a-refresh-token")
    assert status == 1
    assert "refused the refresh token (invalid_grant)" in said
    assert "a-refresh-token" not in said
