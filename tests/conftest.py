"""Nothing is skipped silently: what could not run is said at the end, and in CI it fails.

What tests have counted is said there as well.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from tests.parallel import BySharing, turn
from tests.patience import be_patient

# Slow examples are not a fault: the machine may be busy.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

IN_CI = os.environ.get("CI") == "true"
COUNTED = "counted"
"""Record a property of this name, and it is printed at the end: see `record_property`."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the stores of a busy machine more time than those of a platform need."""
    be_patient(monkeypatch.setattr)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Let tests run in parallel that share nothing."""
    return BySharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in parallel, begin with the long ones: nobody waits for a last one."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: turn(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was counted; and what could not run here, and why."""
    if counted := sorted(_counted(terminalreporter)):
        terminalreporter.section("counted")
    for line in counted:
        terminalreporter.line(line)
    reasons = Counter(
        str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])
    )
    if reasons:
        terminalreporter.section("could not run on this machine")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} tests: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail in CI where anything was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        # Where tests run in parallel, the one who reports does so for all.
        return
    assert isinstance(reporter, pytest.TerminalReporter)
    if IN_CI and exitstatus == pytest.ExitCode.OK and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _counted(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, []):
            name = report.nodeid.rpartition("::")[2]
            yield from (
                f"{name}\n    {what}" for key, what in report.user_properties if key == COUNTED
            )
