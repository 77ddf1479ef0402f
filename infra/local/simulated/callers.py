"""Access to the simulated provider: from this machine, and in browsers from its own pages.

A page on the internet that could plan faults or press buttons here would interfere with a
developer's logins.
"""

from urllib.parse import urlsplit

from domain.metadata import is_loopback
from functions.http.messages import Request, Response
from functions.http.own_page import is_from_own_page
from infra.local.simulated.errors import problem


def refuse_strangers(request: Request) -> Response | None:
    """Return a refusal for other host names (DNS rebinding) and for forms of other pages."""
    here = _here(request)
    if here is None:
        return problem(421, "Misdirected Request", "The simulation accepts loopback names only.")
    if request.method == "POST" and not is_from_own_page(request, here):
        return problem(403, "Forbidden", "Only the simulation's own pages may send its forms.")
    return None


def is_local(request: Request) -> bool:
    """Whether the request names this machine as its host, or no host."""
    return _here(request) is not None


def _here(request: Request) -> str | None:
    """Return the requested origin, or None if it is not of this machine.

    Without a Host header the client is not a browser, and is accepted.
    """
    try:
        [value] = request.header_values(b"host") or [b"localhost"]
        host = value.decode("ascii")
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return None
    return f"http://{host}" if is_loopback(name) or name.endswith(".localhost") else None
