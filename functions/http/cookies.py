"""Cookies: host-only, unreadable for scripts, and without TLS on loopback only."""

from functions.http.messages import Request


class HostCookies:
    """Writes and reads cookies of a deployment by their plain names."""

    def __init__(self, public_url: str | None) -> None:
        # RFC 6265bis §4.1.3.2: with the prefix, neither another host nor plain HTTP can set it.
        # Not every browser accepts a Secure cookie from http on loopback, and PUBLIC_URL may be
        # http on loopback only.
        self._is_secure = not (public_url or "").lower().startswith("http:")

    def header(self, name: str, value: str, *, max_age: int) -> tuple[str, str]:
        """Return the header that sets a cookie for so many seconds; 0 deletes it."""
        # Lax: browsers send it when a link elsewhere leads here, unlike Strict.
        attributes = f"Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax"
        secure = "; Secure" if self._is_secure else ""
        return "set-cookie", f"{self._name(name)}={value}; {attributes}{secure}"

    def value(self, request: Request, name: str) -> str | None:
        """Return the value of a request's cookie; None without one, or with several."""
        pairs = (
            pair.strip().partition(b"=")
            for value in request.header_values(b"cookie")
            for pair in value.split(b";")
        )
        found = [value for given, _, value in pairs if given == self._name(name).encode()]
        return found[0].decode("ascii", "replace") if len(found) == 1 else None

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self._is_secure else name
