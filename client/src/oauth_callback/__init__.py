"""Access tokens from an oauth-callback deployment, the keeper.

from oauth_callback import TokenSource

source = TokenSource()  # reads OAUTH_CALLBACK_URL and OAUTH_CALLBACK_KEY
source.token()  # an access token that works now
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.errors import KeeperError, KeyRefused, LoginNeeded, NotConfigured, TryLater
    from oauth_callback.keeper import Keeper
    from oauth_callback.settings import Settings, load_settings
    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token

__all__ = [
    "Keeper",
    "KeeperError",
    "KeyRefused",
    "LoginNeeded",
    "NotConfigured",
    "Settings",
    "Token",
    "TokenSource",
    "TryLater",
    "load_settings",
]

_MODULES = {
    "Keeper": "keeper",
    "Settings": "settings",
    "Token": "tokens",
    "TokenSource": "source",
    "load_settings": "settings",
}


def __getattr__(name: str) -> object:
    """Import a name when it is used, so that a short command imports only what it needs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value
