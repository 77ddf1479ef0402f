"""`keys new`: makes an API key, and its entry for API_KEYS."""

import json
import secrets
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from functions.admin.command import LocalCommand, print_note
from functions.settings.api_keys import KEYED_ENDPOINTS, digest_of, read_api_keys
from functions.settings.environment import EnvReader

_DESCRIPTION = f"""\
keys new NAME [--connections A,B] [--endpoints token,verify] [--expires 2027-01-31]

Makes an API key and prints it once, on standard output. Its entry for the array of API_KEYS, which
has only the hash of the key, goes to standard error. Without restrictions the key is for all
connections and endpoints ({", ".join(KEYED_ENDPOINTS)}), until its entry is removed."""


def new_entry(key: str, options: Namespace) -> dict[str, object]:
    """Return a key's entry with these restrictions."""
    restrictions = {
        "connections": _split(options.connections),
        "endpoints": _split(options.endpoints),
        "expires": options.expires,
    }
    given = {name: value for name, value in restrictions.items() if value is not None}
    return {"name": options.name, "sha256": digest_of(key.encode()).hex(), **given}


def _split(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _declare(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key")
    new.add_argument("name", metavar="NAME", help="its name in logs")
    new.add_argument(
        "--connections", metavar="A,B", help="the connections that it is for; default: all"
    )
    new.add_argument(
        "--endpoints", metavar="A,B", help=f"some of {', '.join(KEYED_ENDPOINTS)}; default: all"
    )
    new.add_argument("--expires", metavar="DAY", help="its last day, in UTC; default: none")


def _run(options: Namespace) -> str | None:
    key = secrets.token_urlsafe(32)
    entry = json.dumps(new_entry(key, options))
    if faults := faults_of(entry, datetime.now(UTC)):
        return f"No key was made: {'; '.join(faults)}."
    print(key)
    print_note(
        f"That is the key; it is stored nowhere. Its entry in the array of API_KEYS:\n{entry}"
    )
    return None


def faults_of(entry: str, now: datetime) -> list[str]:
    """Return the reasons why the application would refuse an entry or its key."""
    # Read it as the application does.
    env = EnvReader({"API_KEYS": f"[{entry}]"})
    keys = read_api_keys(env)
    is_over = any(key.expires_at is not None and key.expires_at <= now for key in keys)
    return [*env.faults, *(["expires is in the past, in UTC"] if is_over else [])]


COMMAND = LocalCommand(
    summary="make an API key with a name and restrictions",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)
