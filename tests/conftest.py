"""Nothing is skipped silently: what could not run is said at the end, and in CI it fails."""

import os
from collections import Counter

import pytest

IN_CI = os.environ.get("CI") == "true"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not run here, and why."""
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
    assert isinstance(reporter, pytest.TerminalReporter)
    if IN_CI and exitstatus == pytest.ExitCode.OK and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
