"""PyGithub: an `Auth` whose token is always the current one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from github.Auth import Auth

    from oauth_callback.source import TokenSource


def github_auth(source: TokenSource) -> Auth:
    """Return `auth=` for `github.Github`, which asks for the token at each request."""
    from github.Auth import Auth

    namespace = {
        "token_type": property(lambda _self: "Bearer"),
        "token": property(lambda _self: source.token()),
    }
    auth: Auth = type("KeeperAuth", (Auth,), namespace)()
    return auth
