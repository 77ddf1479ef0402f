"""`adopt`: adopts tokens that another program got."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable
from pathlib import Path

from domain.connection import DEFAULT_CONNECTION
from functions.admin.command import Command, connection_name, print_note, printable
from functions.endpoints.answers import require_tokens
from functions.http.problems import ProblemError
from functions.login.adopted_body import AdoptedBody, UnreadableTokensError, read_text
from functions.login.adoptions import STOP_USING
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.store import UnreadableRecordError

_DESCRIPTION = """\
Reads a refresh token from FILE, or from standard input with -: the token alone, or a JSON object
with refresh_token, such as digikey-api's and KiCost's token_storage.json, or rclone's token. Stores
it, and proves it by one refresh. Stop the other program first: most providers replace a refresh
token when it is used, and end both if two programs use one.

A connection that works keeps its tokens, unless --replace is given, and then until the refresh
succeeds. An interruption loses nothing: run it again with the same FILE."""

_STDIN = "-"


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file with the tokens; - for standard input")
    parser.add_argument(
        "--connection",
        type=connection_name,
        default=DEFAULT_CONNECTION,
        help=f"the connection to adopt them for; default {DEFAULT_CONNECTION}",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace a grant that works, or one of another account",
    )


def _run(wiring: Wiring, options: Namespace) -> Awaitable[str | None]:
    # Before there is an event loop, which would swallow the first Ctrl-C.
    return _adopt(wiring, options, _read(options.file))


def _read(file: str) -> AdoptedBody | str:
    """Return the tokens, or why they cannot be read."""
    try:
        if file != _STDIN:
            return read_text(Path(file).read_bytes())
        if sys.stdin.isatty():
            print_note("Reading tokens from this terminal, up to Ctrl-D.")
        return read_text(sys.stdin.buffer.read())
    except OSError as error:
        return f"{printable(file)} cannot be read: {error.strerror}."
    except UnreadableTokensError as error:
        return str(error)


async def _adopt(wiring: Wiring, options: Namespace, body: AdoptedBody | str) -> str | None:
    if isinstance(body, str):
        return f"Nothing was adopted. {body}"
    name: str = options.connection
    try:
        adoptions = wiring.client_of(name).adoptions
        result = await adoptions.adopt(name, body, replaces=options.replace)
        await require_tokens(
            result.answer,
            wiring.clock.now(),
            offer=lambda read: wiring.links.offer(name, may_log_in=False, read=read),
        )
    except ProblemError as error:
        return error.problem.detail
    except (SettingsError, UnknownClientError, UnreadableRecordError) as error:
        return f"Nothing was adopted: {str(error).removesuffix('.')}."
    finally:
        await wiring.finish()
    print(f"{name}: {STOP_USING}")
    return None


COMMAND = Command(
    summary="adopt tokens that another program got",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
    may_create_store=True,
)
