"""Checks a running deployment: its identity, its API key and its logins.

The API key is sent only after the server proved to be this application, over verified TLS or on
this machine.
"""

import json
import secrets
from collections.abc import AsyncGenerator
from datetime import timedelta
from statistics import median
from urllib.parse import urlsplit

from domain.metadata import is_safe_url
from functions.admin.doctor.clocks import compare_clocks
from functions.admin.doctor.deployment import Deployment, members_of, problem_of, text_of
from functions.admin.doctor.findings import Finding, Level, fault, ok, unknown, warning
from functions.admin.doctor.live_login import check_logins
from functions.endpoints.promises import document
from functions.wiring import Wiring
from ports.web import NoWebAnswerError, Web, WebAnswer

_SAMPLES = 5
# ACME clients usually renew a certificate 30 days before it expires.
_RENEWAL_MARGIN = timedelta(days=14)
_OK_STATUSES = frozenset({200, 202})
_LOGIN_ADVICE = {
    "not-authorized": "the connection default needs a login: use POST /api/login with an API key",
    "connection-moved": "the connection default was handed over: use the other deployment",
}


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
    there = Deployment(base=base, web=web, api_key=api_key)
    try:
        health = await there.ask("GET", "/api/health")
        if (difference := _describe_stranger(health)) is not None:
            yield fault("live", f"{difference}; no key was sent there")
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
    ends = health.certificate_expires_at
    if ends is not None and ends - health.received_at < _RENEWAL_MARGIN:
        return warning(
            "live",
            f"{base} is up, but its certificate expires on {ends:%Y-%m-%d}: check its renewal",
        )
    return ok("live", f"{base} is up, and its certificate is valid")


def _describe_stranger(health: WebAnswer) -> str | None:
    """Return how a response differs from this application's; None if it does not."""
    problem = problem_of(health)
    if problem == "not-found":
        return "it is up, but this address has a path too many: use its PUBLIC_URL"
    if problem is not None:
        detail = text_of(health, "detail").removesuffix(".")
        advice = detail if problem == "not-configured" else "see its log"
        return f"it is up, but answers every request {problem}: {advice}"
    if health.status in {301, 302, 303, 307, 308}:
        return "it redirects to another address or to a page to sign in: use the final address"
    if health.status != 200:  # noqa: PLR2004 - OK
        return f"GET /api/health returned {health.status}: another server or a proxy answers"
    if members_of(health).get("status") != "ok":
        return "the server there is not this application"
    if "no-store" not in health.headers.get("cache-control", ""):
        return "its responses lack Cache-Control: no-store: a proxy may cache tokens"
    return None


async def _check_speed(there: Deployment) -> Finding:
    answers = [await there.ask("GET", "/api/health") for _ in range(_SAMPLES)]
    milliseconds = median(answer.took / timedelta(milliseconds=1) for answer in answers)
    return ok(
        "live", f"it answers in {milliseconds:.0f} ms with a new connection (median of {_SAMPLES})"
    )


async def _check_document(there: Deployment) -> Finding:
    answer = await there.ask("GET", "/api/openapi.json")
    found = members_of(answer)
    if answer.status != 200 or "openapi" not in found:  # noqa: PLR2004 - OK
        return fault("openapi", f"GET /api/openapi.json returned {answer.status}")
    if found != json.loads(document.text()):
        return warning(
            "openapi",
            "its interface differs from this copy's: it runs another version",
        )
    return ok("openapi", "its interface is this copy's")


async def _check_wrong_key(there: Deployment) -> Finding:
    answer = await there.ask("GET", "/api/verify", key=secrets.token_urlsafe(32))
    match problem_of(answer):
        case "api-key-invalid":
            return ok("API key", "a wrong one is refused")
        case "too-many-failures":
            # Only a refused key gets this answer.
            return ok("API key", "a wrong one is refused (too many failed requests from here)")
        case _:
            return fault(
                "API key",
                f"a wrong one is not refused ({answer.status}): another server answers, or a proxy "
                "before it; the right key was not sent",
            )


async def _check_with_key(there: Deployment, wiring: Wiring) -> AsyncGenerator[Finding, None]:
    if there.api_key is None:
        yield unknown("API key", "API_KEY is not set here, so that checks with a key were left out")
        return
    answer = await there.ask("GET", "/api/verify", key=there.api_key)
    problem = problem_of(answer)
    if problem in {"api-key-invalid", "too-many-failures"}:
        yield fault("API key", "the deployment does not know this environment's API_KEY")
        return
    if answer.status in _OK_STATUSES:
        yield ok("API key", "it is accepted, and the connection default works")
    elif problem in _LOGIN_ADVICE:
        yield warning("verify", _LOGIN_ADVICE[problem])
    else:
        found = f"{answer.status} {problem or ''}"
        yield fault("verify", f"GET /api/verify returned {found}: see docs/problems.md")
    async for finding in check_logins(there, wiring):
        yield finding
