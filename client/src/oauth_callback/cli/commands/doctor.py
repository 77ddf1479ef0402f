"""`oauth-callback doctor`: finds what is wrong between this machine and its tokens."""

from __future__ import annotations

import os
import time

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection
from oauth_callback.cli.output import print_result
from oauth_callback.cli.states import State, read_state
from oauth_callback.errors import KeeperError, KeyRefused
from oauth_callback.keeper import DEFAULT_TIMEOUT, Keeper
from oauth_callback.settings import KEY, KEY_FILE, PROFILE, URL, load_settings
from oauth_callback.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauth_callback.settings import Settings

_OK, _WARNING, _FAULT = "ok     ", "warning", "FAULT  "
_LARGEST_SKEW = 30.0
"""Seconds. Half of the time that a token is valid at least."""
_HTTP_OK = 200


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_connection(parser)


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print a line for each check, until one fails. Return the exit code of its fault."""
    options = parser.read(arguments)
    try:
        settings = load_settings(profile=options.profile)
        settings.key()
        _print(_OK, f"settings: {settings.url}, from {_origin(options.profile)}")
        _check_reachable(settings)
        return _check_connection(Keeper(settings), options.connection)
    except KeeperError as error:
        _print(_FAULT, str(error))
        return exits.code_of(error)


def _check_reachable(settings: Settings) -> None:
    asked_at = time.time()
    answer = Transport(settings.url).send(
        "GET", "/api/health", headers={}, body=None, timeout=DEFAULT_TIMEOUT
    )
    now = time.time()
    if answer.status != _HTTP_OK:
        # The other checks show whether it is another server, or one with a fault.
        _print(_WARNING, f"deployment: /api/health answers with status {answer.status}")
        return
    _print(_OK, f"deployment: reachable, {(now - asked_at) * 1000:.0f} ms")
    _check_clock(answer.headers.get("date", ""), (asked_at + now) / 2)


def _check_clock(date: str, now: float) -> None:
    from email.utils import parsedate_to_datetime

    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        _print(_WARNING, "clock: the answer has no date to compare with")
        return
    if abs(ahead) > _LARGEST_SKEW:
        direction = "ahead of" if ahead > 0 else "behind"
        _print(
            _WARNING,
            f"clock: {abs(ahead):.0f} s {direction} the deployment's. Programs that compare "
            "expiries may use old tokens. Set the clock by NTP.",
        )
        return
    _print(_OK, "clock: agrees with the deployment's")


def _check_connection(keeper: Keeper, connection: str | None) -> int:
    try:
        state = read_state(keeper, connection)
    except KeyRefused as error:
        if error.problem != "key-not-allowed":
            raise
        # A key for tokens only.
        _print(_WARNING, f"connection: {error}")
        keeper.token(connection)
        _print(_OK, "token: the key gets one")
        return 0
    _print(_OK, "API key: accepted")
    return _report(state)


def _report(state: State) -> int:
    action = state.members.get("cause") if state.members.get("action_required") else None
    if state.error is not None:
        _print(_FAULT, f"connection {state.connection}: {state.error}")
        return exits.LOGIN_NEEDED if state.needs_login else exits.OTHER
    if action is not None:
        _print(_FAULT, f"connection {state.connection}: action required, {action}")
        return exits.OTHER
    _print(_OK, f"connection {state.connection}: {state.members.get('state')}")
    return 0


def _origin(profile: str | None) -> str:
    """Return where the settings were found."""
    if profile is None and os.environ.get(URL):
        key = KEY if os.environ.get(KEY) else f"{KEY_FILE} {os.environ.get(KEY_FILE)}"
        return f"{URL} and {key}"
    from oauth_callback.profiles import DEFAULT_PROFILE, profile_path

    name = profile or os.environ.get(PROFILE) or DEFAULT_PROFILE
    return f"profile {name!r} in {profile_path(os.environ)}"


def _print(level: str, message: str) -> None:
    print_result(f"{level}  {message}\n")
