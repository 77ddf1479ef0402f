"""The cookie by which a browser shows that a login began in it."""

from domain.authorization import login_key
from functions.http.messages import Request
from functions.login.logins import BegunLogin

# Each login has its own: two that are begun in two tabs do not take each other's.
_NAME = "oauth-login-"
_KEY_LENGTH = 16


class LoginCookies:
    """Write and read the cookies of logins that come back to one address."""

    def __init__(self, public_url: str | None) -> None:
        # RFC 6265bis §4.1.3.2: with this prefix no other host, and nobody on plain HTTP, can set
        # it. Only http on loopback, which stays within this machine, has to do without: not every
        # browser takes a Secure cookie from there.
        self._is_secure = not (public_url or "").lower().startswith("http:")

    def remember(self, begun: BegunLogin) -> tuple[str, str]:
        """Make the header that has the browser remember that the login began in it."""
        return self._header(begun.state, begun.browser or "", int(begun.lifetime.total_seconds()))

    def forget(self, state: str) -> tuple[str, str]:
        """Make the header that has the browser forget it."""
        return self._header(state, "", 0)

    def recall(self, request: Request, state: str) -> str | None:
        """Return what the browser remembers of this login; None for nothing."""
        pairs = (
            pair.strip().partition(b"=")
            for value in request.header_values(b"cookie")
            for pair in value.split(b";")
        )
        found = [value for name, _, value in pairs if name == self._name(state).encode()]
        return found[0].decode("ascii", "replace") if len(found) == 1 else None

    def _header(self, state: str, value: str, max_age: int) -> tuple[str, str]:
        # Lax: it comes along when the provider sends the browser back, which Strict would not.
        attributes = f"Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax"
        secure = "; Secure" if self._is_secure else ""
        return "set-cookie", f"{self._name(state)}={value}; {attributes}{secure}"

    def _name(self, state: str) -> str:
        prefix = "__Host-" if self._is_secure else ""
        return f"{prefix}{_NAME}{login_key(state)[:_KEY_LENGTH]}"
