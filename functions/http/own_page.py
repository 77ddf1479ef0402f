"""Detects forms of other sites, by the headers of browsers."""

from urllib.parse import urlsplit

from functions.http.messages import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_from_own_page(request: Request, public_url: str | None) -> bool:
    """Whether the headers allow that the form is from the origin of `public_url`.

    The Host header does not count, because proxies and attackers change it. `null` is the origin of
    pages that hide theirs; it requires Fetch Metadata. Old browsers send neither header, and pass.
    """
    sites = request.header_values(b"sec-fetch-site")
    origins = request.header_values(b"origin")
    if any(site != b"same-origin" for site in sites):
        return False
    if public_url is None:
        return True
    own = {origin_of(public_url).encode()} | ({b"null"} if sites else set())
    return own.issuperset(origins)


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    name = host if host.isascii() else host.encode("idna").decode()
    if ":" in name:
        name = f"[{name}]"
    is_default = parts.port in {None, _DEFAULT_PORTS.get(scheme)}
    return f"{scheme}://{name}" + ("" if is_default else f":{parts.port}")
