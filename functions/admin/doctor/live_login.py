"""Checks a login at a running deployment: its URL, and whether it is in the same store."""

from collections.abc import AsyncGenerator, Iterator
from urllib.parse import parse_qs, urlsplit

from domain.authorization import login_key
from domain.provider import GrantType
from functions.admin.doctor.deployment import Deployment, problem_of, text_of
from functions.admin.doctor.findings import Finding, fault, ok, unknown
from functions.client_wiring import ClientWiring
from functions.login.deliveries import first_delivery_key
from functions.settings.settings import Settings, SettingsError
from functions.settings.store import SqliteSettings
from functions.wiring import Wiring
from ports.discovery import DiscoveryError
from ports.store import StoreUnavailableError


async def check_logins(there: Deployment, wiring: Wiring) -> AsyncGenerator[Finding, None]:
    """Start a login of each client there, and take it back here."""
    # The check of the environment reports the others.
    for client in wiring.usable_clients():
        async for finding in _check_login(there, wiring, client):
            yield finding.of_client(client.client.name)


async def _check_login(
    there: Deployment, wiring: Wiring, client: ClientWiring
) -> AsyncGenerator[Finding, None]:
    name = client.client.name
    query = "" if name is None else f"?connection={name}"
    answer = await there.ask("POST", f"/api/login{query}", key=there.api_key)
    if client.keeper.grant_type is GrantType.CLIENT_CREDENTIALS:
        yield _check_no_login(problem_of(answer))
        return
    url = text_of(answer, "authorization_url")
    if answer.status != 200 or not url:  # noqa: PLR2004 - OK
        problem = problem_of(answer) or ""
        yield fault(
            "login", f"POST /api/login returned {answer.status} {problem}: see docs/problems.md"
        )
        return
    try:
        endpoint = (await client.provider()).authorization_endpoint
    except (DiscoveryError, SettingsError):
        # The check of the provider reports it.
        endpoint = None
    faults = list(_differences(url, client, wiring.settings, endpoint))
    for finding in faults:
        yield finding
    if not faults:
        yield ok("login", "its authorization URL is the one of this environment")
    yield await _check_same_store(url, wiring)


def _check_no_login(problem: str | None) -> Finding:
    if problem == "login-not-needed":
        return ok("login", "it needs none, as by this environment's GRANT")
    return fault("login", "it starts logins, but this environment's GRANT is client_credentials")


async def _check_same_store(url: str, wiring: Wiring) -> Finding:
    """Take back the login, which proves that both use the same store and keys."""
    kept = wiring.settings.store
    if isinstance(kept, SqliteSettings) and not kept.path.exists():
        # Perhaps a file of another machine; none is made here.
        return unknown("same store", "this environment has no database yet")
    state = parse_qs(urlsplit(url).query).get("state", [""])[0]
    now = wiring.clock.now()
    try:
        pending = await wiring.store.take_login(login_key(state), taker="doctor", now=now)
        await wiring.store.take_login(first_delivery_key(state), taker="doctor", now=now)
    except StoreUnavailableError:
        return unknown("same store", "this environment's store is not available")
    if pending is None:
        return fault(
            "same store",
            "a login that was started there is not in this environment's store, or its keys do not "
            "decrypt it: the findings about the store are not about that deployment",
        )
    return ok("same store", "a login that was started there is in this environment's store")


def _differences(
    url: str, client: ClientWiring, settings: Settings, endpoint: str | None
) -> Iterator[Finding]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    there = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if endpoint is not None and there != endpoint.partition("?")[0]:
        yield fault(
            "login",
            f"it sends the browser to {there}, but this environment's PROVIDER, ISSUER or "
            f"AUTHORIZATION_ENDPOINT is {endpoint}",
        )
    given = client.client
    wire = given.provider.wire
    names = {} if wire is None else wire.authorization_names
    origin = "PUBLIC_URL" if given.redirect_uri_name is None else "REDIRECT_URI"
    for standard, wanted, variable in (
        ("client_id", given.client_id, "CLIENT_ID"),
        ("redirect_uri", settings.sent_redirect_uri(given), origin),
    ):
        name = names.get(standard, standard)
        if name and query.get(name) != [wanted]:
            found = " ".join(query.get(name, ["none"]))
            yield fault(
                "login",
                f"its {name} is {found}, but by this environment's {variable} it is {wanted}",
            )
