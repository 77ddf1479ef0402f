"""GET /connections/NAME: a connection's state, its past, and what the key may do with it."""

from collections.abc import Sequence
from html import escape

from domain.grant import Grant, Moved, tokens_of
from domain.provider import GrantType
from domain.questions import missing_authorization
from domain.token_endpoint import RevocationResult
from functions.client_wiring import ClientWiring
from functions.endpoints.connection_members import connection_members
from functions.endpoints.page.chart import chart
from functions.endpoints.page.history_part import history_part
from functions.endpoints.page.snippets import snippets_part
from functions.endpoints.page.visit import Visit, signed_in
from functions.endpoints.page.words import (
    instant,
    last_refresh,
    login_due,
    next_try,
    reason_of,
    state_of,
)
from functions.endpoints.revoke import revocation_detail
from functions.http.look import Tone, facts, note
from functions.http.messages import Response
from functions.http.pages import text_of
from functions.http.problems import PROBLEMS
from functions.login.login_pages import provider_title
from ports.store import Record, UnreadableRecordError

_REFRESHES = {
    "refreshed": "Refreshed",
    "recent": "Not refreshed: the tokens are only a few seconds old",
}
_REVOKED = "revoked-"


async def _show(visit: Visit) -> Response:
    connection = visit.connection("verify")
    client = visit.wiring.client_of(connection)
    back = f'<p><a href="{escape(visit.url())}">All connections</a></p>'
    try:
        record = await client.keeper.load(connection)
    except UnreadableRecordError as error:
        why = note(Tone.BAD, "Unreadable", text_of(f"{error}.", "A login replaces it."))
        buttons = _buttons(_login_form(visit, connection, has_tokens=False))
        return visit.page(connection, f"{back}{why}{buttons}")
    tokens = tokens_of(record.grant)
    now = visit.wiring.clock.now()
    markup = "".join(
        (
            back,
            _outcome(visit, client),
            _state(record, client, visit),
            facts(_facts(record, client, visit)),
            _buttons(*_forms(visit, connection, record.grant, client)),
            f"<h2>History</h2>{chart(record.ledger, tokens, now)}{history_part(record.ledger)}"
            if record.ledger
            else "",
            _snippets(visit, connection),
        )
    )
    return visit.page(connection, markup)


show = signed_in(_show)
"""The endpoint."""


def _outcome(visit: Visit, client: ClientWiring) -> str:
    """Return what the form did that led here."""
    done = visit.request.parameters.get("done", "")
    if done in _REFRESHES:
        return note(Tone.GOOD, _REFRESHES[done], "")
    if done.startswith(_REVOKED):
        results = {each.value: each for each in RevocationResult}
        found = results.get(done.removeprefix(_REVOKED))
        detail = revocation_detail(found, client.keeper.grant_type)
        return note(Tone.OVER, "Revoked", text_of(detail))
    if done in PROBLEMS:
        return note(Tone.SOON, PROBLEMS[done][1], "")
    return ""


def _state(record: Record, client: ClientWiring, visit: Visit) -> str:
    now, grant_type = visit.wiring.clock.now(), client.keeper.grant_type
    state = state_of(record.grant, now, grant_type)
    texts = (reason_of(record.grant, now, grant_type), login_due(record.grant, now, grant_type))
    return note(state.tone, state.word, text_of(*filter(None, texts)))


def _facts(record: Record, client: ClientWiring, visit: Visit) -> Sequence[tuple[str, str]]:
    now, grant = visit.wiring.clock.now(), record.grant
    members = connection_members(grant, client.client.provider, now)
    tokens = tokens_of(grant)
    missing = members.get("missing_scopes")
    known = [
        ("Provider", escape(provider_title(client.client))),
        ("Client", escape(client.client.name or "")),
        ("Account", escape(str(members.get("account") or ""))),
        ("Scopes", escape((tokens.scope if tokens else None) or "")),
        ("Missing scopes", escape(", ".join(missing)) if isinstance(missing, list) else ""),
        ("Access token until", instant(tokens.expires_at, now) if tokens else ""),
        ("Refresh token until", instant(tokens.refresh_token_expires_at, now) if tokens else ""),
        ("Login until", instant(tokens.login_end, now) if tokens and tokens.login_end else ""),
        ("Last refresh", last_refresh(members, now) if "last_refresh" in members else ""),
        ("Next try", next_try(members, now)),
    ]
    return [(name, value) for name, value in known if value]


def _forms(visit: Visit, connection: str, grant: Grant, client: ClientWiring) -> Sequence[str]:
    """Return the buttons that the key may press, and that can do something."""
    if isinstance(grant, Moved):
        return ()
    now, grant_type = visit.wiring.clock.now(), client.keeper.grant_type
    is_by_login = grant_type is GrantType.AUTHORIZATION_CODE
    needs_login = missing_authorization(grant, now, grant_type) is not None
    has_tokens = tokens_of(grant) is not None
    found = []
    if is_by_login and visit.session.may("login"):
        found.append(_login_form(visit, connection, has_tokens=has_tokens and not needs_login))
        if visit.wiring.settings.public_url is not None:
            found.append(_action(visit, connection, "Copy a login link", "login-link"))
    if visit.session.may("refresh") and not (is_by_login and needs_login):
        found.append(_action(visit, connection, "Refresh now", "refresh"))
    if visit.session.may("revoke") and has_tokens:
        url = escape(visit.url("connections", connection, "revoke"))
        found.append(f'<a class="button danger" href="{url}">Revoke</a>')
    return found


def _login_form(visit: Visit, connection: str, *, has_tokens: bool) -> str:
    if not visit.session.may("login"):
        return ""
    # Where the login works, no button is the one to press.
    kind = "" if has_tokens else "main"
    first = visit.button("Log in", "connections", connection, "login", kind=kind).markup()
    if not has_tokens:
        return first
    fields = {"replace": "true"}
    other = visit.button(
        "Log in with another account", "connections", connection, "login", fields=fields
    )
    return first + other.markup()


def _action(visit: Visit, connection: str, text: str, action: str) -> str:
    return visit.button(text, "connections", connection, action).markup()


def _buttons(*forms: str) -> str:
    found = "".join(forms)
    return f'<div class="actions">{found}</div>' if found else ""


def _snippets(visit: Visit, connection: str) -> str:
    address = visit.wiring.settings.public_url
    if address is None or not visit.session.may("token"):
        return ""
    return snippets_part(address, connection)
