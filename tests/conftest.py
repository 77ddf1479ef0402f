"""Reports at the end: the reasons of skipped tests, which fail in CI, and what tests counted."""

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
"""The property whose values are printed at the end: see `record_property`."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the stores more time than they need on a platform."""
    be_patient(monkeypatch.setattr)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Run tests in parallel that share nothing."""
    return BySharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, where they run in parallel."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: turn(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted, and the reasons of skipped tests."""
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
    """Fail in CI where a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        # In parallel, one process reports for all.
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
