"""`page-link`: prints a link that signs a browser in to the page, without typing the API key."""

from argparse import ArgumentParser, Namespace

from domain.page_session import SIGN_IN_LINK_LIFETIME
from functions.access.gate import is_current
from functions.admin.command import Command, print_note
from functions.settings.api_keys import THE_API_KEY, ApiKey
from functions.wiring import Wiring

_MINUTES = SIGN_IN_LINK_LIFETIME.seconds // 60
_DESCRIPTION = f"""\
page-link [--key NAME]

Prints a link to the page of this deployment (PUBLIC_URL). It signs the browser in that opens it,
with an API key, for eight hours. It works once, within {_MINUTES} minutes. The key is API_KEY, or
--key NAME of API_KEYS. The page shows only what that key allows."""


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    if wiring.settings.public_url is None:
        return "PUBLIC_URL is not set, and the link begins with it."
    keys = {key.name: key for key in wiring.settings.api_keys}
    key = _chosen(keys, options.key)
    if key is None:
        names = ", ".join(keys) or "none"
        return f"Choose a key with --key NAME. The names of the API keys: {names}."
    if not is_current(key, wiring.clock.now()):
        return f"The API key {key.name!r} has expired."
    print(await wiring.sessions.link(key))
    print_note(f"Open it in a browser within {_MINUTES} minutes. It signs in with {key.name!r}.")
    return None


def _chosen(keys: dict[str, ApiKey], name: str | None) -> ApiKey | None:
    if name is not None:
        return keys.get(name)
    only = next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(THE_API_KEY, only)


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("--key", metavar="NAME", help="an API key of API_KEYS; default: API_KEY")


COMMAND = Command(
    summary="print a link that signs in to the page",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
    may_create_store=True,
)
