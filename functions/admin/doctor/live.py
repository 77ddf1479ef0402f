"""Checks a running deployment: its identity, its API key and its logins.

The API key is sent only after the server proved to be this application, over verified TLS or on
this machine.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

from domain.authorization import login_key
from domain.metadata import is_safe_url
from functions.admin.doctor.clocks import compare_clocks
from functions.admin.doctor.findings import Finding, Level, fault, ok, unknown, warning
from functions.endpoints.openapi import DOCUMENT
from functions.http.problems import PROBLEMS, TYPE_PREFIX
from functions.login.deliveries import first_delivery_key
from functions.settings.settings import SettingsError
from functions.settings.store import SqliteSettings
from functions.wiring import Wiring
from ports.discovery import DiscoveryError
from ports.store import StoreUnavailableError
from ports.web import NoWebAnswerError, Web, WebAnswer

_TIMES = 5
# ACME clients usually renew a certificate 30 days before it expires.
_RENEWED_BY = timedelta(days=14)
_WORKS = frozenset({200, 202})
_UNWELL = {
    "not-authorized": "the connection default needs a login: use POST /api/login with an API key",
    "connection-moved": "the connection default was handed over: use the other deployment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployment:
    """A deployment's URL, and the HTTP client for it."""

    base: str
    web: Web
    api_key: str | None = field(repr=False)

    async def ask(self, method: str, path: str, *, key: str | None = None) -> WebAnswer:
        """Send a request. Raises NoWebAnswerError."""
        headers = {} if key is None else {"x-api-key": key}
        return await self.web.ask(method, f"{self.base}{path}", headers=headers)


async def check_live(
    url: str, wiring: Wiring, web: Web, *, api_key: str | None
) -> AsyncGenerator[Finding, None]:
    """Check the deployment by requests like its callers'."""
    base = url.rstrip("/")
    if not is_safe_url(base) or "?" in base:
        yield fault(
            "live", "the address must be an https URL without a query (http only for loopback)"
        )
        return
    there = _Deployment(base=base, web=web, api_key=api_key)
    try:
        health = await there.ask("GET", "/api/health")
        if (strange := _strangeness(health)) is not None:
            yield fault("live", f"{strange}; no key was sent there")
            return
        yield _check_certificate(base, health)
        yield compare_clocks("the deployment's clock", health)
        yield await _check_speed(there)
        yield await _check_document(there)
        refusal = await _check_wrong_key(there)
        yield refusal
        if refusal.level is Level.FAULT:
            return
        async for finding in _check_with_key(there, wiring):
            yield finding
    except NoWebAnswerError as error:
        yield fault("live", f"{base} does not answer: {error}")


def _check_certificate(base: str, health: WebAnswer) -> Finding:
    if urlsplit(base).scheme != "https":
        return ok("live", f"{base} is up, without TLS, on this machine")
    ends = health.certificate_ends
    if ends is not None and ends - health.came_at < _RENEWED_BY:
        return warning(
            "live",
            f"{base} is up, but its certificate expires on {ends:%Y-%m-%d}: check its renewal",
        )
    return ok("live", f"{base} is up, and its certificate is valid")


def _strangeness(health: WebAnswer) -> str | None:
    """Return how a response differs from this application's; None if it does not."""
    problem = _problem(health)
    if problem == "not-found":
        return "it is up, but this address has a path too many: use its PUBLIC_URL"
    if problem is not None:
        detail = _text(health, "detail").removesuffix(".")
        said = detail if problem == "not-configured" else "see its log"
        return f"it is up, but answers every request {problem}: {said}"
    if health.status in {301, 302, 303, 307, 308}:
        return "it redirects to another address or to a page to sign in: use the final address"
    if health.status != 200:  # noqa: PLR2004 - OK
        return f"GET /api/health returned {health.status}: another server or a proxy answers"
    if _members(health).get("status") != "ok":
        return "the server there is not this application"
    if "no-store" not in health.headers.get("cache-control", ""):
        return "its responses lack Cache-Control: no-store: a proxy may cache tokens"
    return None


async def _check_speed(there: _Deployment) -> Finding:
    answers = [await there.ask("GET", "/api/health") for _ in range(_TIMES)]
    milliseconds = median(answer.took / timedelta(milliseconds=1) for answer in answers)
    return ok(
        "live", f"it answers in {milliseconds:.0f} ms with a new connection (median of {_TIMES})"
    )


async def _check_document(there: _Deployment) -> Finding:
    answer = await there.ask("GET", "/api/openapi.json")
    found = _members(answer)
    if answer.status != 200 or "openapi" not in found:  # noqa: PLR2004 - OK
        return fault("openapi", f"GET /api/openapi.json returned {answer.status}")
    if found != json.loads(DOCUMENT.read_bytes()):
        return warning(
            "openapi",
            "its interface differs from this copy's: it runs another version",
        )
    return ok("openapi", "its interface is this copy's")


async def _check_wrong_key(there: _Deployment) -> Finding:
    answer = await there.ask("GET", "/api/verify", key=secrets.token_urlsafe(32))
    match _problem(answer):
        case "api-key-invalid":
            return ok("API key", "a wrong one is refused")
        case "too-many-failures":
            # Only a refused key is answered so.
            return ok("API key", "a wrong one is refused (too many failed requests from here)")
        case _:
            return fault(
                "API key",
                f"a wrong one is not refused ({answer.status}): another server answers, or a proxy "
                "before it; the right key was not sent",
            )


async def _check_with_key(there: _Deployment, wiring: Wiring) -> AsyncGenerator[Finding, None]:
    if there.api_key is None:
        yield unknown("API key", "API_KEY is not set here, so that checks with a key were left out")
        return
    answer = await there.ask("GET", "/api/verify", key=there.api_key)
    problem = _problem(answer)
    if problem in {"api-key-invalid", "too-many-failures"}:
        yield fault("API key", "the deployment does not know this environment's API_KEY")
        return
    if answer.status in _WORKS:
        yield ok("API key", "it is accepted, and the connection default works")
    elif problem in _UNWELL:
        yield warning("verify", _UNWELL[problem])
    else:
        got = f"{answer.status} {problem or ''}"
        yield fault("verify", f"GET /api/verify returned {got}: see docs/problems.md")
    async for finding in _check_login(there, wiring):
        yield finding


async def _check_login(there: _Deployment, wiring: Wiring) -> AsyncGenerator[Finding, None]:
    answer = await there.ask("POST", "/api/login", key=there.api_key)
    url = _text(answer, "authorization_url")
    if answer.status != 200 or not url:  # noqa: PLR2004 - OK
        problem = _problem(answer) or ""
        yield fault(
            "login", f"POST /api/login returned {answer.status} {problem}: see docs/problems.md"
        )
        return
    try:
        endpoint = (await wiring.provider()).authorization_endpoint
    except (DiscoveryError, SettingsError):
        # The check of the provider reports it.
        endpoint = None
    faults = list(_differences(url, wiring, endpoint))
    for finding in faults:
        yield finding
    if not faults:
        yield ok("login", "its authorization URL is the one of this environment")
    yield await _check_sameness(url, wiring)


async def _check_sameness(url: str, wiring: Wiring) -> Finding:
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


def _differences(url: str, wiring: Wiring, endpoint: str | None) -> Iterator[Finding]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    there = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if endpoint is not None and there != endpoint.partition("?")[0]:
        yield fault(
            "login",
            f"it sends the browser to {there}, but this environment's PROVIDER, ISSUER or "
            f"AUTHORIZATION_ENDPOINT is {endpoint}",
        )
    for name, wanted, variable in (
        ("client_id", wiring.settings.client_id, "CLIENT_ID"),
        ("redirect_uri", wiring.settings.redirect_uri, "PUBLIC_URL"),
    ):
        if query.get(name) != [wanted]:
            found = " ".join(query.get(name, ["none"]))
            yield fault(
                "login",
                f"its {name} is {found}, but by this environment's {variable} it is {wanted}",
            )


def _problem(answer: WebAnswer) -> str | None:
    """Return the type of a problem, without its prefix; None for another response."""
    name = _text(answer, "type").removeprefix(TYPE_PREFIX)
    return name if name in PROBLEMS else None


def _text(answer: WebAnswer, name: str) -> str:
    value = _members(answer).get(name)
    return value if isinstance(value, str) else ""


def _members(answer: WebAnswer) -> dict[str, Any]:
    try:
        members = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}
