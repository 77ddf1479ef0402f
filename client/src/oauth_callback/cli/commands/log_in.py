"""`oauth-callback login`: a person logs in with a browser, and the command waits for it."""

from __future__ import annotations

import os
import sys
import time

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection, seconds
from oauth_callback.cli.asking import keeper_of
from oauth_callback.cli.output import print_message
from oauth_callback.cli.states import read_state, state_of
from oauth_callback.errors import NotConfigured, TryLater

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oauth_callback.keeper import Keeper

_POLL = 1.0
"""Seconds between two questions whether the login is done."""
_LONGEST_WAIT = 600.0
"""Seconds, if the deployment does not name the lifetime of the page's address."""


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_connection(parser)
    parser.add_argument(
        "--replace", action="store_true", help="another account may replace a working login"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="seconds to wait; default: as long as the address works, 600",
    )


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Start a login, and wait for its end. Raises KeeperError, CommandFailed."""
    options = parser.read(arguments)
    keeper, connection = keeper_of(options), options.connection
    before = _last_login(keeper, connection)
    url, lifetime = _begin(keeper, connection, replaces=options.replace)
    print_message(f"Open this address to log in: {url}")
    if not options.no_browser and _has_display():
        _open(url)
    give_up_at = time.monotonic() + (lifetime if options.timeout is None else options.timeout)
    if not _wait(keeper, connection, before, give_up_at):
        raise exits.CommandFailed(
            "Nobody has finished the login in time. Run the command again.",
            code=exits.LOGIN_NEEDED,
        )
    print_message(f"Logged in: {read_state(keeper, connection).connection}.")
    return 0


def _begin(keeper: Keeper, connection: str | None, *, replaces: bool) -> tuple[str, float]:
    """Return the address to open, and its lifetime in seconds. Raises KeeperError."""
    params = {"connection": connection, "replace": "true" if replaces else None}
    members = keeper.call("POST", "/api/login", params).members
    url, lifetime = members.get("authorization_url"), members.get("expires_in")
    # It goes to a browser and a terminal.
    is_web = isinstance(url, str) and url.startswith(("https://", "http://"))
    if not is_web or not str(url).isprintable():
        raise NotConfigured(
            "The member 'authorization_url' of the keeper's answer is missing or malformed."
        )
    is_number = isinstance(lifetime, (int, float)) and not isinstance(lifetime, bool)
    return str(url), float(str(lifetime)) if is_number else _LONGEST_WAIT


def _wait(keeper: Keeper, connection: str | None, before: object, give_up_at: float) -> bool:
    """Wait for another login than the one before. Return whether there was one."""
    while time.monotonic() < give_up_at:
        time.sleep(_POLL)
        try:
            if _last_login(keeper, connection) != before:
                return True
        except TryLater:
            # The person is still at the provider.
            continue
    return False


def _last_login(keeper: Keeper, connection: str | None) -> object:
    """Return what is known of the newest login, None without one. Raises KeeperError."""
    params = {"connection": connection, "history": 1}
    state = state_of(keeper.ask("GET", "/api/verify", params), connection)
    history = state.members.get("history")
    entries = history if isinstance(history, list) else []
    logins = (each for each in entries if isinstance(each, dict) and each.get("event") == "login")
    newest: Mapping[str, object] | None = next(logins, None)
    return newest


def _has_display() -> bool:
    """Whether a browser opens in a window. A browser in the terminal would take it over."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open(url: str) -> None:
    import webbrowser

    try:
        is_open = webbrowser.open(url)
    except (OSError, webbrowser.Error):
        is_open = False
    if not is_open:
        print_message("No browser was found. Open the address in any browser.")
