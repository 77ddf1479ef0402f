"""The cookie that binds a login to the browser that started it."""

from domain.authorization import login_key
from functions.http.messages import Request
from functions.login.logins import BegunLogin

# One cookie per login, so that logins in two tabs work side by side.
_NAME = "oauth-login-"
_KEY_LENGTH = 16


class LoginCookies:
    """Writes and reads the cookies of logins."""

    def __init__(self, public_url: str | None) -> None:
        # RFC 6265bis §4.1.3.2: with this prefix, neither another host nor plain HTTP can set it.
        # Not every browser accepts a Secure cookie from http on loopback.
        self._is_secure = not (public_url or "").lower().startswith("http:")

    def remember(self, begun: BegunLogin) -> tuple[str, str]:
        """Return the header that sets a login's cookie."""
        return self._header(begun.state, begun.browser or "", int(begun.lifetime.total_seconds()))

    def forget(self, state: str) -> tuple[str, str]:
        """Return the header that deletes a login's cookie."""
        return self._header(state, "", 0)

    def recall(self, request: Request, state: str) -> str | None:
        """Return the value of a login's cookie; None without one."""
        pairs = (
            pair.strip().partition(b"=")
            for value in request.header_values(b"cookie")
            for pair in value.split(b";")
        )
        found = [value for name, _, value in pairs if name == self._name(state).encode()]
        return found[0].decode("ascii", "replace") if len(found) == 1 else None

    def _header(self, state: str, value: str, max_age: int) -> tuple[str, str]:
        # Lax: browsers send it with the provider's redirect, unlike Strict.
        attributes = f"Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax"
        secure = "; Secure" if self._is_secure else ""
        return "set-cookie", f"{self._name(state)}={value}; {attributes}{secure}"

    def _name(self, state: str) -> str:
        prefix = "__Host-" if self._is_secure else ""
        return f"{prefix}{_NAME}{login_key(state)[:_KEY_LENGTH]}"
