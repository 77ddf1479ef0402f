"""POST /api/login begins a login; GET /api/login shows the page of a login link."""

from functions.access.gate import require_api_key
from functions.http.messages import Request, Response
from functions.http.own_page import is_from_own_page
from functions.http.pages import Button, page
from functions.http.problems import problem
from functions.login.cookies import LoginCookies
from functions.login.results import LoginNotNeededError
from functions.login.words import login_problem
from functions.routes import Routes
from functions.wiring import Wired


async def show_link(request: Request, wired: Wired) -> Response:
    """GET /api/login: a page whose button begins the login of a link. Raises ProblemError.

    Whoever only looks at it, as chat programs do for a preview, uses up nothing.
    """
    text = request.parameters.get("link")
    if not text:
        raise problem(
            "invalid-request", "a login begins by a link, or by POST /api/login with the API key"
        )
    link = await wired.links.read(text)
    return page(
        200,
        "Log in",
        f"Connection “{link.connection}” wants somebody to log in at its provider. This link is "
        "good for one login, to be finished in the browser that it is begun in.",
        button=Button(text="Log in", url=wired.links.login_url, fields={"link": text}),
    )


async def login(request: Request, wired: Wired) -> Response:
    """POST /api/login: where to send the browser, or its way there. Raises ProblemError."""
    if text := request.form().get("link"):
        _refuse_another_sites_button(request, wired.settings.public_url)
        return await _begin_by_link(text, wired)
    keys, now = wired.settings.api_keys, wired.clock.now()
    caller = require_api_key(request, keys, endpoint="login", now=now, extra_params=("replace",))
    begun = await wired.logins.begin(caller.connection, replaces=_replaces(request))
    return Response.json(
        200,
        {
            "authorization_url": begun.authorization_url,
            "expires_in": int(begun.lifetime.total_seconds()),
        },
    )


def _replaces(request: Request) -> bool:
    text = request.parameters.get("replace", "false")
    if text not in {"true", "false"}:
        raise problem("invalid-request", "replace is true or false")
    return text == "true"


def _refuse_another_sites_button(request: Request, public_url: str | None) -> None:
    """Have people see whose login it is: another page's form would send them on without a word.

    A provider that knows them may ask nothing either (RFC 6749 §10.12). Browsers tell where a form
    was, by its origin and by Fetch Metadata, even to pages that have them send no `Referer`.
    """
    if not is_from_own_page(request, public_url):
        raise problem(
            "invalid-link", "a login by a link begins on the link's own page: open it in a browser"
        )


async def _begin_by_link(text: str, wired: Wired) -> Response:
    try:
        begun = await wired.logins.begin_by_link(await wired.links.read(text))
    except LoginNotNeededError as failed:
        raise login_problem(failed) from failed
    cookie = LoginCookies(wired.settings.public_url).remember(begun)
    return Response.redirect(begun.authorization_url, headers=(cookie,))


ROUTES: Routes = {"/api/login": {"GET": show_link, "HEAD": show_link, "POST": login}}
