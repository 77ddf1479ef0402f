"""digikey-api's token handler, which KiCost's plug-ins copied: asks the keeper at each call.

The handler's own way reads `token_storage.json`. Without a valid token there, it opens a browser
and waits on port 8139 for ever; KiCost's plug-in for version 4 stores a failed call for a week.
"""

from __future__ import annotations

from importlib import import_module

from oauth_callback.errors import KeeperError
from oauth_callback.shims.programs import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from oauth_callback.source import TokenSource

_NEVER = 4102444800
"""2100-01-01 in epoch seconds, for a token without an expiry."""


def serve_tokens(source: TokenSource, packages: Sequence[str]) -> None:
    """Replace the handler in each package that is installed.

    Raises CommandFailed if none is.
    """
    found = [name for name in packages if _replace_handler(source, name)]
    if not found:
        raise missing(" or ".join(name.replace("_", "-") for name in packages))


def _replace_handler(source: TokenSource, package: str) -> bool:
    try:
        oauth2 = import_module(f"{package}.oauth.oauth2")
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return False
    exceptions = import_module(f"{package}.exceptions")

    def get_access_token(_handler: object) -> object:
        return _token(source, oauth2, exceptions)

    oauth2.TokenHandler.get_access_token = get_access_token
    return True


def _token(source: TokenSource, oauth2: ModuleType, exceptions: ModuleType) -> object:
    """Return the program's own token object. Raises its `DigikeyError`."""
    try:
        token = source.get()
    except KeeperError as error:
        raise exceptions.DigikeyError(f"No token: {error}") from error
    expires_at = token.expires_at
    return oauth2.Oauth2Token(
        {
            "access_token": token.access_token,
            "token_type": "Bearer",
            "expires": _NEVER if expires_at is None else expires_at,
        }
    )
