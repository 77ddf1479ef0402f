"""Chromium: where it is installed, and how the tests start it.

python -m tests.browser.chromium    installs Debian's, where apt and root are there
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Debian's, without and with a window; then those of the machines that run GitHub's workflows.
_PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome", "google-chrome-stable")
# Without a window, and without what the packages only recommend: a seventh of the packages.
PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")


def program() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


@contextmanager
def chromium(path: str, *, hosts: Mapping[str, int] = MappingProxyType({})) -> Iterator["Browser"]:
    """Start the Chromium at a path. Until its end, the thread has a running event loop.

    `hosts` are names with a port of this machine. No other host is found but this machine.

    Playwright is imported here: its half second is for this process only, not for every process
    that collects the tests.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        rules = [f"MAP {name} 127.0.0.1:{port}" for name, port in hosts.items()]
        known = ", ".join([*rules, "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"])
        browser = playwright.chromium.launch(
            executable_path=path, args=[f"--host-resolver-rules={known}"]
        )
        try:
            yield browser
        finally:
            browser.close()


def main() -> str | None:
    """Install Chromium if there is none. Return why that is not possible here."""
    if program() is not None:
        return None
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return f"Installing Chromium needs apt-get and root. The package is {PACKAGES[0]}."
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = (apt, "install", "-qq", "-y", "--no-install-recommends", *PACKAGES)
    for command in ((apt, "update", "-qq"), install):
        if subprocess.run(command, env=quietly, stdout=sys.stderr, check=False).returncode != 0:
            return f"{' '.join(command)} failed."
    return None


if __name__ == "__main__":
    sys.exit(main())
