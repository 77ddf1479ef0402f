"""`keys new`: an API key is made, and the entry by which a deployment knows it."""

import json
import secrets
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from functions.admin.command import LocalCommand, say
from functions.settings.api_keys import KEYED_ENDPOINTS, digest_of, read_api_keys
from functions.settings.environment import EnvReader

_DESCRIPTION = f"""\
keys new NAME [--connections A,B] [--endpoints token,verify] [--expires 2027-01-31]

Makes an API key and prints it, alone, this once. What a deployment is told is the entry that is
printed beside it, on standard error: put it into the array of API_KEYS. It has only the hash of the
key. Without restrictions the key is for all connections and for all endpoints that ask for a key
({", ".join(KEYED_ENDPOINTS)}), until its entry is taken away."""


def new_entry(key: str, options: Namespace) -> dict[str, object]:
    """Return the entry of a key with these restrictions."""
    restrictions = {
        "connections": _listed(options.connections),
        "endpoints": _listed(options.endpoints),
        "expires": options.expires,
    }
    given = {name: value for name, value in restrictions.items() if value is not None}
    return {"name": options.name, "sha256": digest_of(key.encode()).hex(), **given}


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _declare(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key")
    new.add_argument("name", metavar="NAME", help="what logs call it")
    new.add_argument("--connections", metavar="A,B", help="what it is for; all, if not given")
    new.add_argument("--endpoints", metavar="A,B", help=f"of {', '.join(KEYED_ENDPOINTS)}; all")
    new.add_argument("--expires", metavar="DAY", help="the last day, in UTC; none, if not given")


def _run(options: Namespace) -> str | None:
    key = secrets.token_urlsafe(32)
    entry = json.dumps(new_entry(key, options))
    if faults := faults_of(entry, datetime.now(UTC)):
        return f"No key was made: {'; '.join(faults)}."
    print(key)
    say(f"That is the key; it is kept nowhere. Its entry in the array of API_KEYS:\n{entry}")
    return None


def faults_of(entry: str, now: datetime) -> list[str]:
    """Say why the application would not accept an entry, or its key."""
    # As the application will read it.
    env = EnvReader({"API_KEYS": f"[{entry}]"})
    keys = read_api_keys(env)
    is_over = any(key.expires_at is not None and key.expires_at <= now for key in keys)
    return [*env.faults, *(["expires is a day that is over, in UTC"] if is_over else [])]


COMMAND = LocalCommand(
    summary="make an API key with a name, and restrictions",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)
