"""Asks the deployment for a token, and again while it is unavailable."""

from __future__ import annotations

import time

from oauth_callback.errors import TryLater
from oauth_callback.keeper import Keeper
from oauth_callback.settings import load_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from oauth_callback.tokens import TokenAnswer


def keeper_of(options: Namespace) -> Keeper:
    """Return the deployment of the settings. Raises NotConfigured."""
    return Keeper(load_settings(profile=options.profile))


def ask(keeper: Keeper, connection: str | None, *, min_ttl: int | None, wait: float) -> TokenAnswer:
    """Return a token. While the deployment is unavailable, retry for `wait` seconds.

    Raises KeeperError.
    """
    give_up_at = time.monotonic() + wait
    while True:
        try:
            return keeper.token(connection, min_ttl=min_ttl)
        except TryLater as error:  # noqa: PERF203 - a request takes longer
            if time.monotonic() + error.retry_after > give_up_at:
                raise
            time.sleep(max(1.0, error.retry_after))


def ask_by(options: Namespace) -> TokenAnswer:
    """Return the token that the command's options name. Raises KeeperError."""
    return ask(keeper_of(options), options.connection, min_ttl=options.min_ttl, wait=options.wait)
