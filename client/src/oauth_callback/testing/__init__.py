"""A keeper for the tests of programs: a real HTTP server on this machine, without a provider.

with FakeKeeper() as keeper:
    source = keeper.source()
    assert source.token() == "token-1"
"""

from oauth_callback.testing.fake_keeper import FakeKeeper
from oauth_callback.testing.server import SeenRequest

__all__ = ["FakeKeeper", "SeenRequest"]
