"""Who may ask the simulated Digi-Key: this machine, and in browsers its own pages.

It is no secret service, but whoever can plan its faults or press its buttons from a page on the
internet takes part in a developer's logins.
"""

from urllib.parse import urlsplit

from domain.metadata import is_loopback
from functions.http.messages import Request, Response
from functions.http.own_page import is_from_own_page
from infra.local.digikey_errors import problem


def refuse_strangers(request: Request) -> Response | None:
    """Refuse what another name leads to, as by DNS rebinding, and forms of other pages."""
    here = _here(request)
    if here is None:
        return problem(421, "Misdirected Request", "The simulation answers to loopback names only.")
    if request.method == "POST" and not is_from_own_page(request, here):
        return problem(403, "Forbidden", "The simulation's forms are sent by its own pages only.")
    return None


def _here(request: Request) -> str | None:
    """Return the address that was asked for, None unless it is of this machine.

    Browsers always name one; who names none is none.
    """
    try:
        [value] = request.header_values(b"host") or [b"localhost"]
        host = value.decode("ascii")
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return None
    return f"http://{host}" if is_loopback(name) or name.endswith(".localhost") else None
