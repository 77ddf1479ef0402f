"""The buttons' actions: log in, make a login link, refresh, revoke. They call what endpoints call.

After a form, the browser is redirected to the connection's page, so that a reload repeats nothing.
"""

from html import escape

from domain.grant import Moved, place_of
from functions.access.gate import Caller
from functions.endpoints.answers import connection_moved, require_tokens
from functions.endpoints.page.visit import Visit, signed_in
from functions.http.look import Tone, note
from functions.http.messages import Response
from functions.http.problems import ProblemError, problem
from functions.login.cookies import LoginCookies
from functions.login.login_pages import provider_title

# Without a script, the person copies by hand: the field is there to be selected.
_COPY = (
    'document.getElementById("copy").hidden=false;'
    'document.getElementById("copy").onclick=function(e){e.preventDefault();'
    'navigator.clipboard.writeText(document.getElementById("link").value)'
    '.then(function(){document.getElementById("copied").textContent="Copied."})};'
)


async def _log_in(visit: Visit) -> Response:
    connection = visit.connection("login")
    logins = visit.wiring.client_of(connection).logins
    replaces = visit.request.form().get("replace") == "true"
    begun = await logins.begin(connection, replaces=replaces, in_browser=True)
    cookie = LoginCookies(visit.wiring.settings.public_url).remember(begun)
    return Response.redirect(begun.authorization_url, headers=(cookie,))


async def _make_link(visit: Visit) -> Response:
    connection = visit.connection("login")
    client = visit.wiring.client_of(connection)
    record = await client.keeper.load(connection)
    # It is made while the login still works, too: to log in before it expires.
    offer = await visit.wiring.links.offer(
        connection, may_log_in=True, read=place_of(record.grant), renews=True
    )
    if offer.link is None:
        raise problem("not-configured", "Login links require PUBLIC_URL, which is not set.")
    title = escape(provider_title(client.client))
    return visit.page(
        "Login link",
        f"<p>For the connection <strong>{escape(connection)}</strong> at {title}. Send it to the "
        "person who logs in. It works once, for 24 hours.</p>"
        '<p><label for="link">Link</label>'
        f'<input id="link" readonly value="{escape(offer.link)}"></p>'
        '<p class="actions"><button id="copy" class="main" hidden>Copy</button>'
        f'<a class="button" href="{escape(visit.url("connections", connection))}">Back</a> '
        '<span id="copied" role="status"></span></p>',
        script=_COPY,
    )


async def _refresh(visit: Visit) -> Response:
    connection = visit.connection("refresh")
    result = await visit.wiring.client_of(connection).keeper.refresh(connection)
    caller = Caller(key_name=visit.session.key.logged_name, connection=connection, may_log_in=False)
    try:
        await require_tokens(
            result.answer,
            visit.wiring.clock.now(),
            offer=lambda read: visit.wiring.offer_login(caller, read),
        )
    except ProblemError as failed:
        # The connection's page has the reason in words.
        return _back(visit, connection, failed.problem.name)
    return _back(visit, connection, "refreshed" if result.is_refreshed else "recent")


async def _ask_to_revoke(visit: Visit) -> Response:
    connection = visit.connection("revoke")
    client = visit.wiring.client_of(connection)
    name, title = escape(connection), escape(provider_title(client.client))
    button = visit.button("Revoke", "connections", connection, "revoke", kind="danger")
    back = escape(visit.url("connections", connection))
    return visit.page(
        f"Revoke {connection}?",
        note(
            Tone.SOON,
            "This cannot be undone",
            f"<p>The tokens of <strong>{name}</strong> are revoked at {title} and deleted here. "
            "Programs get no token until a person logs in again.</p>",
        )
        + f'<div class="actions">{button.markup()}'
        f'<a class="button" href="{back}">Keep it</a></div>',
    )


async def _revoke(visit: Visit) -> Response:
    connection = visit.connection("revoke")
    result = await visit.wiring.client_of(connection).revocations.revoke(connection)
    if isinstance(result, Moved):
        raise connection_moved(result.since)
    return _back(visit, connection, f"revoked-{'nothing' if result is None else result.value}")


def _back(visit: Visit, connection: str, done: str) -> Response:
    return Response.redirect(visit.url("connections", connection, done=done))


log_in = signed_in(_log_in, is_form=True)
"""POST /connections/NAME/login."""
make_link = signed_in(_make_link, is_form=True)
"""POST /connections/NAME/login-link."""
refresh = signed_in(_refresh, is_form=True)
"""POST /connections/NAME/refresh."""
ask_to_revoke = signed_in(_ask_to_revoke)
"""GET /connections/NAME/revoke."""
revoke = signed_in(_revoke, is_form=True)
"""POST /connections/NAME/revoke."""
