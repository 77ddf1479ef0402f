"""Access tokens from an oauth-callback deployment, the keeper.

from oauth_callback import TokenSource

source = TokenSource()  # reads OAUTH_CALLBACK_URL and OAUTH_CALLBACK_KEY
source.token()  # an access token that works now
"""

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
