"""Whether a form was sent by a page of this deployment, as browsers tell it."""

from urllib.parse import urlsplit

from functions.http.messages import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_from_own_page(request: Request, public_url: str | None) -> bool:
    """Whether nothing that the browser says is of another origin than the deployment's address.

    The host that the request names is not asked: proxies change it, and strangers. `null` is the
    origin of pages that have browsers tell none, such as this deployment's once were: then
    Fetch Metadata has to say that they are its own. Browsers that send neither are older than both.
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
    """Write the origin of an address as browsers do (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    name = host if host.isascii() else host.encode("idna").decode()
    if ":" in name:
        name = f"[{name}]"
    is_default = parts.port in {None, _DEFAULT_PORTS.get(scheme)}
    return f"{scheme}://{name}" + ("" if is_default else f":{parts.port}")
