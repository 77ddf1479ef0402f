"""GET /: the connections that the key may see, worst first, and the deployment's own state."""

import re
from collections.abc import Sequence
from html import escape

from domain.connection import accounts_pattern, client_part
from domain.grant import is_over, tokens_of
from functions.endpoints.connections import requested_after
from functions.endpoints.overview import MOST_RECORDS, Overview, Row, read_page
from functions.endpoints.page.deployment_part import deployment_part
from functions.endpoints.page.visit import Visit, signed_in
from functions.endpoints.page.words import (
    State,
    fault_of,
    instant,
    last_refresh,
    login_due,
    next_try,
    reason_of,
    state_of,
)
from functions.http.look import Tone, facts, note, state_mark
from functions.http.messages import Request, Response
from functions.http.pages import text_of
from functions.http.problems import problem
from functions.login.login_pages import provider_title
from functions.wiring import Wiring

_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)

PAGE_SIZE = 100
"""The most connections on one page."""


async def _show(visit: Visit) -> Response:
    if not visit.session.may("connections"):
        return visit.page("Connections", _named_only(visit))
    number, after = _number(visit), requested_after(visit.request.parameters)
    # All at once, for the worst of all comes first: the order of names would hide it.
    found = await read_page(visit.wiring, visit.session.key, after=after, limit=MOST_RECORDS)
    first = (number - 1) * PAGE_SIZE
    rows = found.rows[first : first + PAGE_SIZE]
    markup = "".join(
        (
            _summary(found),
            f'<ul class="rows">{"".join(_row(visit, row) for row in rows)}</ul>' if rows else "",
            _paging(visit, found, number, after),
            await deployment_part(visit),
        )
    )
    return visit.page("Connections", markup)


async def show(request: Request, wiring: Wiring) -> Response:
    """GET /: the connections, or the form to sign in. Raises ProblemError."""
    url = wiring.settings.public_url
    if not request.path and url is not None:
        # A prefix without its final slash: the page's relative links would lose it.
        return Response.redirect(f"{url}/")
    return await _show_signed_in(request, wiring)


_show_signed_in = signed_in(_show)


def _number(visit: Visit) -> int:
    text = visit.request.parameters.get("page", "1")
    # Python refuses to read a number of thousands of digits.
    if not _NUMBER.fullmatch(text) or int(text) > MOST_RECORDS:
        raise problem("invalid-request", "Invalid page. Open the first page.")
    return int(text)


def _summary(found: Overview) -> str:
    total = len(found.rows)
    if not total:
        return (
            "<p>There are no connections yet. The first login makes one: open the page of "
            '<a href="connections/default">default</a>.</p>'
        )
    waiting = sum(map(_needs_person, found.rows))
    shown = f"{total} connection{'' if total == 1 else 's'}"
    asks = {0: "None needs a person", 1: "1 needs a person"}
    return text_of(f"{shown}. {asks.get(waiting, f'{waiting} need a person')}.")


def _needs_person(row: Row) -> bool:
    """Whether a person must act; not for a connection that was ended on purpose."""
    grant = None if row.record is None else row.record.grant
    return row.needs_action and not (grant is not None and is_over(grant))


def _row(visit: Visit, row: Row) -> str:
    state, reason, known = _content(visit, row)
    link = f'<a href="{escape(visit.url("connections", row.connection))}">'
    why = f"<p>{escape(reason)}</p>" if reason else ""
    return (
        f'<li class="card"><div class="head"><h2>{link}{escape(row.connection)}</a></h2>'
        f"{state_mark(state.tone, state.word)}</div>{why}{facts(known)}</li>"
    )


def _content(visit: Visit, row: Row) -> tuple[State, str | None, Sequence[tuple[str, str]]]:
    now, members = visit.wiring.clock.now(), row.members
    if row.record is None or "fault" in members:
        return fault_of(members), f"{members['fault']}.", ()
    client = visit.wiring.client_of(row.connection)
    grant, grant_type = row.record.grant, client.keeper.grant_type
    tokens = tokens_of(grant)
    known = [
        ("Provider", escape(provider_title(client.client))),
        ("Account", escape(str(members.get("account") or ""))),
        ("Login", escape(login_due(grant, now, grant_type) or "")),
        ("Access token until", instant(tokens.expires_at, now) if tokens else ""),
        ("Last refresh", last_refresh(members, now) if "last_refresh" in members else ""),
        ("Next try", next_try(members, now)),
    ]
    return (
        state_of(grant, now, grant_type),
        reason_of(grant, now, grant_type),
        [(name, value) for name, value in known if value],
    )


def _paging(visit: Visit, found: Overview, number: int, after: str | None) -> str:
    """Return the links to more connections; nothing if all are shown."""
    here = {} if after is None else {"after": after}
    links = []
    if number > 1:
        links.append(("Back", visit.url(page=str(number - 1), **here)))
    if number * PAGE_SIZE < len(found.rows):
        links.append((f"Next {PAGE_SIZE}", visit.url(page=str(number + 1), **here)))
    elif found.next is not None:
        # The next ones by name: more than the page sorts at once.
        links.append((f"Names after {found.next}", visit.url(after=found.next)))
    buttons = "".join(
        f'<a class="button" href="{escape(url)}">{escape(text)}</a>' for text, url in links
    )
    return f'<nav class="actions" aria-label="More connections">{buttons}</nav>' if links else ""


def _named_only(visit: Visit) -> str:
    """Return what a key sees that may not list: links to the connections that it names."""
    key = visit.session.key
    why = text_of(
        f"The API key {key.name!r} is not allowed for the endpoint connections, which lists them."
    )
    names = sorted(
        name for name in key.connections or () if name != accounts_pattern(client_part(name))
    )
    items = "".join(
        f'<li><a href="{escape(visit.url("connections", name))}">{escape(name)}</a></li>'
        for name in names
    )
    return note(Tone.OVER, "No list", why) + (f"<ul>{items}</ul>" if names else "")
