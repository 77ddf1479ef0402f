"""A command line whose deployment is a fake keeper."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from oauth_callback.testing import FakeKeeper
from tests.client.cli.rig import Cli


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Cli]:
    """Return the commands, in an empty folder with an empty configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("OAUTH_CALLBACK_KEY_FILE", "OAUTH_CALLBACK_PROFILE", "KUBERNETES_EXEC_INFO"):
        monkeypatch.delenv(name, raising=False)
    with FakeKeeper() as keeper:
        for name, value in keeper.environ.items():
            monkeypatch.setenv(name, value)
        yield Cli(keeper, monkeypatch, capsys)


@pytest.fixture(autouse=True)
def heeded_signals() -> Iterator[None]:
    """Let commands heed the signals that `nohup`, and a shell's background job, ignore."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
