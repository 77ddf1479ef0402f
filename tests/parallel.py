"""The processes and the order of tests that run in parallel.

Tests of one file share a server or a deployment, and those of `tests/browser` share a browser, so
they run in one process. pytest 9.2 ignores pytest-xdist's mark `xdist_group` (pytest-xdist issue
1386).
"""

import re

from xdist.scheduler import LoadScopeScheduling

# Tests of this folder share a deployment on each host.
_ON_HOSTS = "tests/functions/"
# As in `tests.functions.hosts`, the longest tests first. `lambda-runtime` stands before `lambda`:
# the pattern takes the first match.
_HOSTS = (
    "vercel",
    "lambda-runtime",
    "uvicorn",
    "in-process",
    "over-redis",
    "over-postgres",
    "lambda",
)
# Tests of this folder share a browser.
_IN_BROWSER = "tests/browser/"
_HOST = re.compile(rf"[\[-]({'|'.join(_HOSTS)})[]-]")
# Tests of these files share nothing, and run one by one.
_APART = (
    "tests/system/test_kill.py",
    "tests/system/test_outage.py",
    "tests/system/test_network.py",
    "tests/simulation/test_guarantees.py",
    "tests/domain/test_properties.py",
    "tests/domain/test_moving_properties.py",
    "tests/simulation/test_simulation.py",
)
# The longest come first: some that compute with some that wait. The others fill the gaps.
_FIRST = (
    *_HOSTS[:3],
    *_APART[:3],
    "tests/system/test_stampede.py",
    "tests/system/test_lifetime.py",
    "tests/system/test_aws_stack.py",
    "tests/system/test_move.py",
    "tests/system/test_upstash_deployment.py",
    "tests/system/test_refresh_policies.py",
    "tests/system/test_encryption_keys.py",
    "tests/system/test_openapi.py",
    _IN_BROWSER,
    *_HOSTS[3:],
    "tests/infra/test_aws_check.py",
    "tests/mutation/test_mutation.py",
    *_APART[3:],
)
_WAITING = "tests/system/"


class BySharing(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Give tests to the next free process: by file, by host or one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """Return the name of all that runs in one process with a test."""
    file = nodeid.partition("::")[0]
    if file in _APART:
        return nodeid
    if file.startswith(_ON_HOSTS) and (host := _HOST.search(nodeid.removeprefix(file))):
        return host[1]
    return _IN_BROWSER if file.startswith(_IN_BROWSER) else file


def turn(nodeid: str) -> tuple[int, bool]:
    """Return the place of a test among all others, to sort them by."""
    name = scope(nodeid).partition("::")[0]
    place = _FIRST.index(name) if name in _FIRST else len(_FIRST)
    return place, not name.startswith((_WAITING, _ON_HOSTS))
