"""Requests that schemathesis does not generate, or not in time.

All functions raise AssertionError where an answer is not as documented.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from time import sleep
from urllib.parse import urlencode

from anyio.from_thread import BlockingPortal
from schemathesis.specs.openapi.schemas import OpenApiSchema

from domain.grant import AuthorizationRequired, Cause, Failure, FailureState, Moved
from domain.rejections import Rejection
from functions.http.messages import BODY_LIMIT, MAX_BODY_BYTES, MAX_HEADERS, MAX_QUERY_BYTES
from tests.functions.access.test_api_keys import api_keys, entry
from tests.functions.deployment import (
    API_KEY,
    CRON_SECRET,
    HTML,
    JSON,
    Deployment,
    deployed,
    query_of,
)
from tests.functions.grants import fresh
from tests.functions.hosts import Host, Running, server_process
from tests.functions.login.test_accounts import id_token
from tests.functions.stores import sqlite_store
from tests.functions.token_endpoint import Answer, TokenEndpoint, token_endpoint
from tests.system.openapi_run import Headers, ask
from tests.system.openapi_states import CALLBACKS, LINKS, STATES, Query, put_refreshing

_NARROW_KEY = "a-key-that-is-for-another-connection"
NARROW_KEYS = api_keys(entry("narrow", _NARROW_KEY, connections=["another"], endpoints=["verify"]))

_KEYED = (
    "getToken",
    "verifyConnection",
    "listConnections",
    "getMetrics",
    "beginLogin",
    "adoptTokens",
    "refreshConnection",
    "revokeConnection",
)
_FORM = ("content-type", "application/x-www-form-urlencoded")
_BY_CLIENT = urlencode({"grant_type": "client_credentials", "client_secret": API_KEY}).encode()
_KEYS: Mapping[str, tuple[str, str]] = {
    "getServerMetadata": JSON,
    **dict.fromkeys(("checkHealth", "getDocument", "completeLogin", "showLoginLink"), JSON),
    **dict.fromkeys(_KEYED, ("x-api-key", API_KEY)),
    # Schemathesis, which takes it away once, knows it in this spelling.
    **dict.fromkeys(("sweep", "sweepByFormerPath"), ("Authorization", f"Bearer {CRON_SECRET}")),
}
_TEXT = ("accept", "text/plain")
# Each operation with its key, and once more, by a browser, where it has pages, or by a shell.
_ASKED: list[tuple[str, Headers]] = [
    *((name, (key,)) for name, key in _KEYS.items()),
    *((name, (_KEYS[name], HTML)) for name in ("beginLogin", "completeLogin", "showLoginLink")),
    ("getToken", (_KEYS["getToken"], _TEXT)),
    ("postTokenRequest", (_FORM,)),
]
# Schemathesis, which takes it away once, knows it in this spelling.
_BASIC = ("Authorization", f"Basic {b64encode(f':{API_KEY}'.encode()).decode()}")
_BODIES = {"adoptTokens": b'{"refresh_token": "r"}', "postTokenRequest": _BY_CLIENT}
_WITH_BODY = {
    "adoptTokens",
    "beginLogin",
    "postTokenRequest",
    "refreshConnection",
    "revokeConnection",
}
_LONG_QUERY = "x=" + "a" * MAX_QUERY_BYTES
_MANY_HEADERS = tuple((f"x-{number}", "x") for number in range(MAX_HEADERS))
_TOO_LARGE = b"x" * (MAX_BODY_BYTES + 1)
_WAITED_FOR: Query = {"connection": "busy"}


@contextmanager
def quiet_uvicorn(_portal: BlockingPortal, environ: Mapping[str, str]) -> Iterator[Running]:
    """Run the application as a server of one's own does, with warnings for its log."""
    command = ["-m", "uvicorn", "functions.asgi:app", "--log-level", "warning"]
    with server_process(command, environ, port_option="--port") as running:
        yield running


SERVER = Host(run=quiet_uvicorn, store=sqlite_store)


def ask_what_is_rare(schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal) -> None:
    """Ask for all of it."""
    with ThreadPoolExecutor() as pool:
        waiting = [*_slow(schema, deployment, pool)]
        _ask_too_much(schema, deployment)
        _ask_with_bad_keys(schema, deployment)
        _ask_for_text(schema, deployment)
        _ask_about_refused_tokens(schema, deployment)
        _ask_for_tokens(schema, deployment)
        _ask_about_logins(schema, deployment)
        _ask_at_another_provider(schema, deployment, portal)
        _ask_about_adoptions(schema, deployment, portal)
        _ask_too_early(schema, deployment, portal)
        _ask_too_often(schema, deployment, portal)
        for future in waiting:
            future.result()
    _ask_what_is_at_fault(schema, deployment, portal)


def _slow(
    schema: OpenApiSchema, deployment: Deployment, pool: ThreadPoolExecutor
) -> Iterator[Future[None]]:
    """Ask for what takes as long as anything may."""
    put_refreshing(deployment, "busy")
    for name in ("getToken", "refreshConnection"):
        yield pool.submit(ask, schema, name, _WAITED_FOR, _KEYS[name], at=deployment)
    for name, headers in _ASKED:
        if name in _WITH_BODY:
            yield pool.submit(ask, schema, name, {}, *headers, at=deployment, body=_late_body())


def _late_body() -> Iterator[bytes]:
    yield b"x"
    sleep(BODY_LIMIT.total_seconds() + 1)


def _ask_too_much(schema: OpenApiSchema, deployment: Deployment) -> None:
    for name, headers in _ASKED:
        ask(schema, name, "x=1&x=2", *headers, at=deployment)
        ask(schema, name, _LONG_QUERY, *headers, at=deployment)
        ask(schema, name, {}, *headers, *_MANY_HEADERS, at=deployment)
        if name in _WITH_BODY:
            ask(schema, name, {}, *headers, at=deployment, body=_TOO_LARGE)


def _ask_with_bad_keys(schema: OpenApiSchema, deployment: Deployment) -> None:
    for name in _KEYED:
        ask(schema, name, {}, at=deployment)
        for wrong in ("no key", _NARROW_KEY):
            ask(schema, name, {}, ("x-api-key", wrong), at=deployment)
    # Schemathesis takes no key away where none may do.
    keys: list[Headers] = [(), (("x-api-key", "no key"),), (("x-api-key", _NARROW_KEY),)]
    for key, accept in product(keys, (HTML, JSON)):
        ask(schema, "beginLogin", {}, *key, accept, at=deployment)


def _ask_for_text(schema: OpenApiSchema, deployment: Deployment) -> None:
    """Ask as a shell does, in all states and with all keys."""
    for state, prepare in STATES.items():
        prepare(deployment, state)
        query = {"connection": state}
        ask(schema, "getToken", query, _KEYS["getToken"], _TEXT, at=deployment)
    for key in (("x-api-key", "no key"), ("x-api-key", _NARROW_KEY), _BASIC):
        ask(schema, "getToken", {}, key, _TEXT, at=deployment)
    ask(schema, "getMetrics", {}, _KEYS["getMetrics"], _TEXT, at=deployment)


def _ask_about_refused_tokens(schema: OpenApiSchema, deployment: Deployment) -> None:
    """Ask for another token than one that replaced a refused one just now."""
    grant = fresh()
    last = Rejection(generation=grant.tokens.generation, at=datetime.now(UTC), in_a_row=6)
    tokens = replace(grant.tokens, generation=last.generation + 1, rejection=last)
    deployment.put("rejected", replace(grant, tokens=tokens))
    query = {"connection": "rejected", "refused": str(tokens.generation)}
    ask(schema, "getToken", query, _KEYS["getToken"], at=deployment)


def _ask_for_tokens(schema: OpenApiSchema, deployment: Deployment) -> None:
    """Send token requests of every sort, each for a connection in every state."""
    grant = fresh()
    deployment.put("scoped", replace(grant, tokens=replace(grant.tokens, scope="read")))
    requests = (
        {"client_secret": API_KEY},
        {"client_secret": API_KEY, "scope": "admin"},
        {"client_secret": "no key"},
        {"client_secret": _NARROW_KEY},
        {"grant_type": "refresh_token", "refresh_token": API_KEY},
        {"grant_type": "password"},
    )
    for request in requests:
        form = urlencode({"grant_type": "client_credentials", **request}).encode()
        query = {"connection": "scoped"}
        ask(schema, "postTokenRequest", query, _FORM, at=deployment, body=form)
    for name, put in STATES.items():
        put(deployment, name)
        query = {"connection": name}
        ask(schema, "postTokenRequest", query, _FORM, at=deployment, body=_BY_CLIENT)


def _ask_about_logins(schema: OpenApiSchema, deployment: Deployment) -> None:
    """Ask with every sort of callback and of link, as a browser and as a program."""
    for prepare, accept in product(CALLBACKS, (HTML, JSON)):
        query = {"state": "x", "code": "y", **prepare(deployment)}
        ask(schema, "completeLogin", query, accept, at=deployment)
    for accept in (HTML, JSON):
        ask(schema, "completeLogin", "state=x&code=y&code=z", accept, at=deployment)
        ahead = ("sec-purpose", "prefetch")
        ask(schema, "completeLogin", {"state": "x", "code": "y"}, accept, ahead, at=deployment)
    for prepare, accept in product(LINKS, (HTML, JSON)):
        ask(schema, "showLoginLink", {"link": "x", **prepare(deployment)}, accept, at=deployment)
        form = urlencode({"link": "x", **prepare(deployment)}).encode()
        headers = (accept, ("content-type", "application/x-www-form-urlencoded"))
        ask(schema, "beginLogin", {}, *headers, at=deployment, body=form)
    for accept in (HTML, JSON):
        begun = deployment.press(deployment.link("linked"))
        query = query_of(deployment.provider.allow(begun.headers["location"]))
        cookie = ("cookie", begun.headers["set-cookie"].partition(";")[0])
        before = deployment.grant("linked")
        deployment.put("linked", fresh())
        ask(schema, "completeLogin", query, accept, cookie, at=deployment)
        deployment.put("linked", before)


def _ask_at_another_provider(
    schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal
) -> None:
    """Ask where the provider has metadata and id tokens, and where it has neither."""
    with token_endpoint() as endpoint:
        environ = {**deployment.environ, **endpoint.issuer_environ}
        with deployed(SERVER, portal, environ, deployment.provider) as another:
            for accept in (HTML, JSON):
                ask(schema, "beginLogin", {}, _KEYS["beginLogin"], accept, at=another)
                ask(schema, "completeLogin", {"state": "x", "code": "y"}, accept, at=another)
            endpoint.metadata = {}
            for accept in (HTML, JSON):
                query = {"code": "a-code", **_begun(another), "iss": "https://issuer.test"}
                ask(schema, "completeLogin", query, accept, at=another)
                for account in ("alice", "bob"):
                    query = _as(endpoint, another, account)
                    ask(schema, "completeLogin", query, accept, at=another)


def _ask_about_adoptions(
    schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal
) -> None:
    """Adopt tokens that the provider accepts, and others, for every sort of connection."""
    with token_endpoint() as endpoint:
        environ = {**deployment.environ, **endpoint.environ}
        with deployed(SERVER, portal, environ, deployment.provider) as another:

            def adopt(
                connection: str, token: str, *planned: Answer, replace: str = "false"
            ) -> None:
                endpoint.plan(*planned)
                query = {"connection": connection, "replace": replace}
                headers = (_KEYS["adoptTokens"], ("content-type", "text/plain"))
                ask(schema, "adoptTokens", query, *headers, at=another, body=token.encode())

            refused = Answer.json({"error": "invalid_grant"}, status=400)
            adopt("adopted", "one", _tokens_of("alice"))
            adopt("adopted", "two")
            adopt("refused", "one", refused)
            adopt("refused", "one", Answer.json({"error": "invalid_client"}, status=401))
            adopt("refused", "one", Answer(status=400))
            adopt("refused", "one", Answer(status=503))
            now, tokens = datetime.now(UTC), another.tokens("adopted")
            another.put("moved-away", Moved(grant=fresh(), since=now))
            adopt("moved-away", "one")
            put_refreshing(another, "refreshing")
            adopt("refreshing", "one", replace="true")
            cause, client = Cause.REFRESH_TOKEN_REJECTED, "client"
            dead = AuthorizationRequired(tokens=tokens, cause=cause, client=client, since=now)
            another.put("adopted", dead)
            adopt("adopted", "two", _tokens_of("bob"))
            assert tokens.refresh_token is not None
            # It waits before it tries with other client credentials.
            another.age("adopted", timedelta(seconds=30))
            adopt("adopted", tokens.refresh_token)
            grant = fresh()
            another.put("current", grant)
            another.age("current", timedelta(minutes=1))
            assert grant.tokens.refresh_token is not None
            adopt("current", grant.tokens.refresh_token, refused)
        own = {**environ, "GRANT": "client_credentials"}
        with deployed(SERVER, portal, own, deployment.provider) as another:
            adopt("of-the-client", "one")


def _ask_too_early(schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal) -> None:
    """Ask where the access token may have ended, and the provider refuses to replace it yet."""
    now, grant = datetime.now(UTC), fresh()
    doubt = FailureState(
        failures=1, failure=Failure.UNKNOWN, at=now, retry_at=now, in_doubt_since=now
    )
    token = grant.tokens.refresh_token
    assert token is not None
    own = {"REFRESH_ONLY_WITHIN": "30s", "ROTATION": "always;ends-access-token"}
    with token_endpoint() as endpoint:
        environ = {**deployment.environ, **endpoint.environ, **own}
        with deployed(SERVER, portal, environ, deployment.provider) as another:
            another.put("early", replace(grant, failure_state=doubt))
            query = {"connection": "early"}
            for name in ("getToken", "refreshConnection"):
                ask(schema, name, query, _KEYS[name], at=another)
            headers = (_KEYS["adoptTokens"], ("content-type", "text/plain"))
            ask(schema, "adoptTokens", query, *headers, at=another, body=token.encode())


def _tokens_of(account: str) -> Answer:
    """Return tokens of this account."""
    tokens = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 1800}
    return Answer.json({**tokens, "id_token": id_token(account)})


def _as(endpoint: TokenEndpoint, deployment: Deployment, account: str) -> Query:
    """Log in as this account, and return what the browser is sent back with."""
    tokens = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 1800}
    endpoint.plan(Answer.json({**tokens, "id_token": id_token(account, issuer=endpoint.url)}))
    return {"code": "a-code", **_begun(deployment)}


def _begun(deployment: Deployment) -> Query:
    """Begin a login, and return its state."""
    return {"state": query_of(deployment.begin_login("of-somebody"))["state"]}


def _ask_too_often(schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal) -> None:
    with quiet_uvicorn(portal, {**deployment.environ, "FAILURE_LIMIT": "1"}) as running:
        # Twice is too often; the time over which it counts may end in between, but not twice.
        for (name, headers), _ in product(_ASKED, range(3)):
            ask(schema, name, "x=1&x=2", *headers, at=running)


def _ask_what_is_at_fault(
    schema: OpenApiSchema, deployment: Deployment, portal: BlockingPortal
) -> None:
    """Ask deployments that lack a variable, their store, or the key of what is stored."""
    deployment.put("default", fresh())
    no_database = Path(deployment.environ["SQLITE_PATH"]).with_name("no-database")
    no_database.write_text("no database " * 100)
    faults = (
        {"CLIENT_ID": ""},
        {"SQLITE_PATH": str(no_database)},
        {"CLIENT_SECRET": "another-secret"},
    )
    for fault in faults:
        with quiet_uvicorn(portal, {**deployment.environ, **fault}) as running:
            for name, headers in _ASKED:
                query = {"code": "y", **_begun(deployment)} if name == "completeLogin" else {}
                ask(schema, name, query, *headers, at=running, body=_BODIES.get(name, b""))
