"""A deployment that runs: whether it is ours, knows the key, and sends browsers where it should.

The API key is sent only to what has shown itself to be this application, over verified TLS or on
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
from functions.wiring import Wired
from ports.discovery import DiscoveryError
from ports.store import StoreUnavailableError
from ports.web import NoWebAnswerError, Web, WebAnswer

_TIMES = 5
# ACME's clients renew a certificate when a third of its life is left, of 90 days as a rule.
_RENEWED_BY = timedelta(days=14)
_WORKS = frozenset({200, 202})
_UNWELL = {
    "not-authorized": "the connection default needs a login: POST /api/login with the API key",
    "connection-moved": "the connection default was handed over to another deployment: ask there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployment:
    """Where it is, and what asks it."""

    base: str
    web: Web
    api_key: str | None = field(repr=False)

    async def ask(self, method: str, path: str, *, key: str | None = None) -> WebAnswer:
        """Send a request. Raises NoWebAnswerError."""
        headers = {} if key is None else {"x-api-key": key}
        return await self.web.ask(method, f"{self.base}{path}", headers=headers)


async def check_live(
    url: str, wired: Wired, web: Web, *, api_key: str | None
) -> AsyncGenerator[Finding, None]:
    """Ask the deployment as its callers do."""
    base = url.rstrip("/")
    if not is_safe_url(base) or "?" in base:
        yield fault("live", "the address must be an https URL without a query (http for loopback)")
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
        async for finding in _check_with_key(there, wired):
            yield finding
    except NoWebAnswerError as error:
        yield fault("live", f"{base} does not answer: {error}")


def _check_certificate(base: str, health: WebAnswer) -> Finding:
    if urlsplit(base).scheme != "https":
        return ok("live", f"{base} is alive, without TLS, on this machine")
    ends = health.certificate_ends
    if ends is not None and ends - health.came_at < _RENEWED_BY:
        return warning(
            "live",
            f"{base} is alive, and its certificate ends on {ends:%Y-%m-%d}: what renews it has "
            "not done so",
        )
    return ok("live", f"{base} is alive, and its certificate is good")


def _strangeness(health: WebAnswer) -> str | None:
    """Say what is not as this application answers, if anything is."""
    problem = _problem(health)
    if problem == "not-found":
        return "it runs, but this address has a path too many: give its PUBLIC_URL itself"
    if problem is not None:
        said = _text(health, "detail") if problem == "not-configured" else "its log says more"
        return f"it runs, and every request is answered {problem}: {said}"
    if health.status in {301, 302, 303, 307, 308}:
        return "it sends callers to another address, or to a page to sign in: give the final one"
    if health.status != 200:  # noqa: PLR2004 - OK
        return f"health is answered {health.status}: something else is there, or stands before it"
    if _members(health).get("status") != "ok":
        return "what answers is not this application"
    if "no-store" not in health.headers.get("cache-control", ""):
        return "its answers have no Cache-Control: no-store: something on the way may keep tokens"
    return None


async def _check_speed(there: _Deployment) -> Finding:
    answers = [await there.ask("GET", "/api/health") for _ in range(_TIMES)]
    milliseconds = median(answer.took / timedelta(milliseconds=1) for answer in answers)
    return ok(
        "live", f"answers in {milliseconds:.0f} ms with a new connection (median of {_TIMES})"
    )


async def _check_document(there: _Deployment) -> Finding:
    answer = await there.ask("GET", "/api/openapi.json")
    found = _members(answer)
    if answer.status != 200 or "openapi" not in found:  # noqa: PLR2004 - OK
        return fault("openapi", f"/api/openapi.json is not served ({answer.status})")
    if found != json.loads(DOCUMENT.read_bytes()):
        return warning(
            "openapi",
            "the interface that is served there is not the one of this copy: another version runs",
        )
    return ok("openapi", "the interface that is served there is this copy's")


async def _check_wrong_key(there: _Deployment) -> Finding:
    answer = await there.ask("GET", "/api/verify", key=secrets.token_urlsafe(32))
    match _problem(answer):
        case "api-key-invalid":
            return ok("API key", "a wrong one is refused")
        case "too-many-failures":
            # Only who would be refused is told that it was too often.
            return ok("API key", "a wrong one is refused, as others were that came from here")
        case _:
            return fault(
                "API key",
                f"a wrong one is not refused, but answered {answer.status}: something else "
                "answers, or stands before it; the right one was not sent there",
            )


async def _check_with_key(there: _Deployment, wired: Wired) -> AsyncGenerator[Finding, None]:
    if there.api_key is None:
        yield unknown(
            "API key", "API_KEY is not in this environment, so nothing was asked that needs it"
        )
        return
    answer = await there.ask("GET", "/api/verify", key=there.api_key)
    problem = _problem(answer)
    if problem in {"api-key-invalid", "too-many-failures"}:
        yield fault("API key", "the deployment does not know the API_KEY of this environment")
        return
    if answer.status in _WORKS:
        yield ok("API key", "it is accepted, and the connection default works")
    elif problem in _UNWELL:
        yield warning("verify", _UNWELL[problem])
    else:
        told = f"{answer.status} {problem or ''}"
        yield fault("verify", f"it is answered {told}: see docs/problems.md")
    async for finding in _check_login(there, wired):
        yield finding


async def _check_login(there: _Deployment, wired: Wired) -> AsyncGenerator[Finding, None]:
    answer = await there.ask("POST", "/api/login", key=there.api_key)
    url = _text(answer, "authorization_url")
    if answer.status != 200 or not url:  # noqa: PLR2004 - OK
        problem = _problem(answer) or ""
        yield fault("login", f"it cannot begin: {answer.status} {problem}: see docs/problems.md")
        return
    try:
        endpoint = (await wired.provider()).authorization_endpoint
    except (DiscoveryError, SettingsError):
        # The provider's part says so.
        endpoint = None
    faults = list(_differences(url, wired, endpoint))
    for finding in faults:
        yield finding
    if not faults:
        yield ok("login", "it sends the browser where this environment would, and back")
    yield await _check_sameness(url, wired)


async def _check_sameness(url: str, wired: Wired) -> Finding:
    """Take back the login that has begun, which shows that both have one store, and its keys."""
    kept = wired.settings.store
    if isinstance(kept, SqliteSettings) and not kept.path.exists():
        # Of another machine, perhaps; none is made here.
        return unknown("same store", "this environment's has no database yet")
    state = parse_qs(urlsplit(url).query).get("state", [""])[0]
    now = wired.clock.now()
    try:
        pending = await wired.store.take_login(login_key(state), taker="doctor", now=now)
        await wired.store.take_login(first_delivery_key(state), taker="doctor", now=now)
    except StoreUnavailableError:
        return unknown("same store", "this environment's is not available")
    if pending is None:
        return fault(
            "same store",
            "a login that was begun there is not in this environment's store, or its keys do not "
            "open it: what is said of the store above is not of that deployment's",
        )
    return ok("same store", "what is begun there is in this environment's store")


def _differences(url: str, wired: Wired, endpoint: str | None) -> Iterator[Finding]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    there = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if endpoint is not None and there != endpoint.partition("?")[0]:
        yield fault(
            "login",
            f"it sends the browser to {there}, and by this environment's PROVIDER, ISSUER or "
            f"AUTHORIZATION_ENDPOINT it is {endpoint}",
        )
    for name, wanted, variable in (
        ("client_id", wired.settings.client_id, "CLIENT_ID"),
        ("redirect_uri", wired.settings.redirect_uri, "PUBLIC_URL"),
    ):
        if query.get(name) != [wanted]:
            found = " ".join(query.get(name, ["none"]))
            yield fault(
                "login",
                f"its {name} is {found}, and by this environment's {variable} it is {wanted}",
            )


def _problem(answer: WebAnswer) -> str | None:
    """Return the name of a problem of this application's; None where the answer is another."""
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
