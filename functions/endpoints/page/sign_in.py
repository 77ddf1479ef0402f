"""Signing in to the page, with an API key or a link of the command line, and signing out."""

from html import escape
from http import HTTPStatus

from domain.connection import is_connection
from functions.access.sessions import has_session_cookie
from functions.http.look import Tone, note
from functions.http.messages import Request, Response
from functions.http.pages import Button, actions, page_of, root_of, text_of
from functions.routes import connection_in_path
from functions.wiring import Wiring

_TITLE = "Sign in"
_OVER = "Your session has ended: it lasts eight hours, and ends with its API key."
_NOT_DONE = "Nothing was done."
# The browser keeps no page of a session, not even for its back button.
_FORGET = ("clear-site-data", '"cache"')


def ask_to_sign_in(request: Request, wiring: Wiring, *, is_form: bool = False) -> Response:
    """Return the page for a browser without a session, which leads back to where it was.

    `is_form`: it sent a form, and nothing came of it.
    """
    is_dead = has_session_cookie(request, wiring.settings.public_url)
    texts = [*([_OVER] if is_dead else []), *([_NOT_DONE] if is_form else [])]
    why = note(Tone.SOON, "Sign in again", text_of(*texts)) if texts else ""
    # The first page asks everybody; another one is for those who are signed in.
    is_first = request.path in {"", "/"}
    return _form(
        request,
        why=why,
        status=HTTPStatus.OK if is_first else HTTPStatus.UNAUTHORIZED,
        connection=connection_in_path(request.path) or "",
        headers=(wiring.sessions.end(),) if is_dead else (),
    )


async def show(request: Request, wiring: Wiring) -> Response:
    """GET /sign-in: the form or, for a link, a page whose button signs in. Raises ProblemError.

    A GET uses up nothing, so that previews of chat programs do no harm.
    """
    text = request.parameters.get("link")
    if not text:
        return _form(request)
    key = await wiring.sessions.check_link(text)
    button = Button(text=_TITLE, url=f"{root_of(request.path)}sign-in", fields={"link": text})
    name = escape(key.name)
    return page_of(
        _TITLE,
        f"<p>This link signs this browser in with the API key <code>{name}</code>, for eight "
        f"hours. It works once.</p>{actions(button)}",
        form_targets="'self'",
    )


async def start(request: Request, wiring: Wiring) -> Response:
    """POST /sign-in: start a session with an API key or a link. Raises ProblemError."""
    sessions, form = wiring.sessions, request.form()
    sessions.require_own_form(request)
    if link := form.get("link"):
        cookie = await sessions.start_by_link(link)
    else:
        cookie = await sessions.start(form.get("key", "").encode())
    root, name = root_of(request.path), form.get("connection", "")
    where = f"connections/{name}" if is_connection(name) else ""
    return Response.redirect(f"{root}{where}", headers=(cookie,))


async def end(request: Request, wiring: Wiring) -> Response:
    """POST /sign-out: end the session of this browser. Raises ProblemError."""
    # Browsers send no cookie with another site's form, so without a session the check stays.
    wiring.sessions.require_own_form(request, await wiring.sessions.of(request))
    return Response.redirect(
        f"{root_of(request.path)}sign-in", headers=(wiring.sessions.end(), _FORGET)
    )


def _form(
    request: Request,
    *,
    why: str = "",
    status: int = HTTPStatus.OK,
    connection: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    hidden = f'<input type="hidden" name="connection" value="{escape(connection)}">'
    return page_of(
        _TITLE,
        f'{why}<form method="post" action="{root_of(request.path)}sign-in">'
        f"{hidden if connection else ''}"
        '<p><label for="key">API key</label><input id="key" name="key" type="password" required '
        'autocomplete="current-password" spellcheck="false" aria-describedby="about-key"></p>'
        '<p id="about-key" class="quiet">A key of this deployment. The page shows and does what '
        'the key allows.</p><p><button class="main">Sign in</button></p></form>'
        "<h2>Without the key at hand</h2><p>In the deployment's environment, this prints a link "
        "that signs you in:</p><pre><code>python -m functions.admin page-link</code></pre>",
        status=status,
        form_targets="'self'",
        headers=headers,
    )
