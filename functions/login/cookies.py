"""The cookie that binds a login to the browser that started it."""

from domain.authorization import login_key
from functions.http.cookies import HostCookies
from functions.http.messages import Request
from functions.login.logins import BegunLogin

# One cookie per login, so that logins in two tabs work side by side.
_NAME = "oauth-login-"
_KEY_LENGTH = 16


class LoginCookies:
    """Writes and reads the cookies of logins."""

    def __init__(self, public_url: str | None) -> None:
        self._cookies = HostCookies(public_url)

    def remember(self, begun: BegunLogin) -> tuple[str, str]:
        """Return the header that sets a login's cookie."""
        seconds = int(begun.lifetime.total_seconds())
        return self._cookies.header(_name(begun.state), begun.browser or "", max_age=seconds)

    def forget(self, state: str) -> tuple[str, str]:
        """Return the header that deletes a login's cookie."""
        return self._cookies.header(_name(state), "", max_age=0)

    def recall(self, request: Request, state: str) -> str | None:
        """Return the value of a login's cookie; None without one."""
        return self._cookies.value(request, _name(state))


def _name(state: str) -> str:
    return f"{_NAME}{login_key(state)[:_KEY_LENGTH]}"
