"""Which tests run in one process, and which begin, where tests run in parallel.

What a file's tests share (a server, a deployment, what was computed once) is shared within one
process. pytest-xdist's own way to say so, the mark `xdist_group`, is ignored under pytest 9.2
without a word (pytest-xdist issue 1386).
"""

import re

from xdist.scheduler import LoadScopeScheduling

# The tests of this folder share a deployment on each host.
_ON_HOSTS = "tests/functions/"
# As `tests.functions.hosts` names them: where one name begins like another, the longer one first.
_HOST = re.compile(r"[\[-](in-process|uvicorn|vercel|lambda-runtime|lambda)[]-]")
# The tests of these files share nothing, and take long. The longest come first.
_APART = (
    "tests/system/test_kill.py",
    "tests/system/test_outage.py",
    "tests/system/test_network.py",
    "tests/system/test_stampede.py",
    "tests/system/test_lifetime.py",
    "tests/domain/test_properties.py",
    "tests/domain/test_moving_properties.py",
    "tests/simulation/test_simulation.py",
)
# They mostly wait; the others mostly work, and fill the gaps.
_WAITING = "tests/system/"


class BySharing(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Give tests to whichever process is free: by file, by folder or one by one."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        if file in _APART:
            return nodeid
        if file.startswith(_ON_HOSTS) and (host := _HOST.search(nodeid.removeprefix(file))):
            return host[1]
        return file


def turn(nodeid: str) -> tuple[int, bool]:
    """Return the place of a test among all others, to sort them by."""
    file = _file(nodeid)
    place = _APART.index(file) if file in _APART else len(_APART)
    return place, not file.startswith((_WAITING, _ON_HOSTS))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
