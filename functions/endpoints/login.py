"""POST /api/login starts a login; GET /api/login shows the page of a login link."""

from domain.grant import Grant
from functions.access.gate import require_api_key
from functions.client_wiring import ClientWiring
from functions.http.messages import Request, Response
from functions.http.own_page import is_from_own_page
from functions.http.problems import problem
from functions.login.cookies import LoginCookies
from functions.login.login_pages import Place, link_page
from functions.routes import Routes
from functions.wiring import Wiring
from ports.store import StoreUnavailableError, UnreadableRecordError


async def show_link(request: Request, wiring: Wiring) -> Response:
    """GET /api/login: a page whose button starts the login. Raises ProblemError.

    A GET uses up nothing, so that previews of chat programs do no harm.
    """
    text = request.parameters.get("link")
    if not text:
        raise problem(
            "invalid-request",
            "The parameter `link` is missing. Open the whole link, or use POST /api/login.",
            on_page="This login link is incomplete. Open the whole link.",
        )
    link = await wiring.links.read(text)
    client = wiring.client_of(link.connection)
    return link_page(
        link,
        Place(client=client.client, public_url=wiring.settings.public_url),
        grant=await _grant_if_readable(client, link.connection),
        login_url=wiring.links.login_url,
        text=text,
    )


async def _grant_if_readable(client: ClientWiring, connection: str) -> Grant | None:
    """Return the grant, whose account the page names; None if the store does not have it now."""
    try:
        return (await client.keeper.load(connection)).grant
    except (StoreUnavailableError, UnreadableRecordError):
        return None


async def login(request: Request, wiring: Wiring) -> Response:
    """POST /api/login: return the URL to log in at, or redirect there. Raises ProblemError."""
    if text := request.form().get("link"):
        _refuse_another_sites_button(request, wiring.settings.public_url)
        return await _begin_by_link(text, wiring)
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    caller = require_api_key(request, keys, endpoint="login", now=now, extra_params=("replace",))
    logins = wiring.client_of(caller.connection).logins
    begun = await logins.begin(caller.connection, replaces=replaces(request))
    return Response.json(
        200,
        {
            "authorization_url": begun.authorization_url,
            "expires_in": int(begun.lifetime.total_seconds()),
        },
        # A person copies the URL from a terminal.
        in_lines=True,
    )


def replaces(request: Request) -> bool:
    """Return the parameter `replace`. Raises ProblemError."""
    text = request.parameters.get("replace", "false")
    if text not in {"true", "false"}:
        raise problem("invalid-request", "Invalid replace. Use true or false.")
    return text == "true"


def _refuse_another_sites_button(request: Request, public_url: str | None) -> None:
    """Refuse a form of another site, which would log a person in unseen (RFC 6749 §10.12).

    Browsers send a form's origin, and Fetch Metadata, even where a page suppresses the `Referer`.
    """
    if not is_from_own_page(request, public_url):
        raise problem(
            "invalid-link",
            "Another site sent this form. Open the link in a browser, and start the login there.",
        )


async def _begin_by_link(text: str, wiring: Wiring) -> Response:
    link = await wiring.links.read(text)
    begun = await wiring.client_of(link.connection).logins.begin_by_link(link)
    cookie = LoginCookies(wiring.settings.public_url).remember(begun)
    return Response.redirect(begun.authorization_url, headers=(cookie,))


ROUTES: Routes = {"/api/login": {"GET": show_link, "HEAD": show_link, "POST": login}}
