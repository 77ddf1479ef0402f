"""No secret in an answer, a log or the store: a whole session is searched for each of them."""

import ast
import json
import logging
import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from domain.grant import Refreshing
from domain.ledger import HistoryEvent
from functions.routes import TOKEN_URL
from tests.functions.conftest import Deploy
from tests.functions.deployment import API_KEY, HTML, JSON, Deployment, at, query_of
from tests.functions.expect import expect_token
from tests.functions.grants import NEAR_END, OVER, fresh, over
from tests.functions.hosts import on_each_host_and_store, server_process
from tests.functions.stores import raw_content
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.waiting import wait_until

# With `+ / % :`, so that every encoding of it differs.
SECRET = "client%secret+with:special/characters"
STATE = "the static/state of the tests"
FORM = ("content-type", "application/x-www-form-urlencoded")
REFRESH = f"grant_type=refresh_token&refresh_token={API_KEY}"


class Session:
    """A deployment in use: all secrets that it has, and all its answers."""

    def __init__(self, deployment: Deployment, endpoint: TokenEndpoint) -> None:
        self.deployment = deployment
        self.endpoint = endpoint
        self.secrets: dict[str, str] = {
            "the client secret": deployment.environ["CLIENT_SECRET"],
            "the API key": deployment.environ["API_KEY"],
            "the static state": deployment.environ.get("OAUTH_STATE", STATE),
        }
        if password := urlsplit(deployment.environ.get("DATABASE_URL", "")).password:
            self.secrets["the password of the database"] = password
        self.said: list[str] = []

    def keep(self, *answers: httpx.Response) -> None:
        """Add answers, in which no secret belongs."""
        for answer in answers:
            self.said.append(f"{answer.headers.raw}\n{answer.text}")

    def log_in(self, connection: str, code: str) -> None:
        """Log in, and fail to log in a second time with the same redirect."""
        url = self.deployment.begin_login(connection)
        state = query_of(url)["state"]
        self.secrets[f"the state {code}"] = state
        self.secrets[f"the code {code}"] = code
        for accept in (HTML, JSON):
            self.keep(self.deployment.callback(accept, code=code, state=state))

    def log_in_by_link(self, connection: str, code: str) -> None:
        """Open a link, and log in by it."""
        link = self.deployment.link(connection)
        self.deployment.open_link(link)
        begun = self.deployment.press(link)
        cookie = begun.headers["set-cookie"].partition(";")[0]
        state = query_of(begun.headers["location"])["state"]
        self.secrets |= {
            f"the link {code}": query_of(link)["link"],
            f"the cookie of {code}": cookie.partition("=")[2],
            f"the state {code}": state,
            f"the code {code}": code,
        }
        self.keep(
            self.deployment.press(link),
            self.deployment.callback(HTML, ("cookie", cookie), code=code, state=state),
        )

    def add_tokens(self) -> None:
        """Add the tokens of the provider, and the code verifiers that it was sent."""
        for number, members in enumerate(self.endpoint.given):
            self.secrets[f"access token {number}"] = str(members["access_token"])
            self.secrets[f"refresh token {number}"] = str(members["refresh_token"])
        for number, seen in enumerate(self.endpoint.seen):
            if "code_verifier" in seen.form:
                self.secrets[f"code verifier {number}"] = seen.form["code_verifier"]

    def token(self, connection: str) -> None:
        """Ask for a token; its own member alone may have it."""
        answer = self.deployment.token(connection)
        if answer.status_code == 200:
            members = answer.json()
            del members["access_token"]
            self.said.append(f"{answer.headers.raw}\n{json.dumps(members)}")
        else:
            self.keep(answer)
        self.verify(connection)

    def verify(self, connection: str) -> None:
        """Ask for the state of the connection, and for its history."""
        target = at("/api/verify", connection=connection, history="1")
        self.keep(self.deployment.verify(connection), self.deployment.get(target))

    def wait_for_refresh(self, connection: str, *, after: int) -> None:
        """Wait until a refresh after so many requests has ended."""
        wait_until(
            lambda: (
                len(self.endpoint.seen) > after
                and not isinstance(self.deployment.grant(connection), Refreshing)
            )
        )


FAILURES = [
    None,
    Answer.json({"error": "invalid_grant"}, status=400),
    Answer.json({"error": "invalid_client"}, status=401),
    Answer(status=400),
    Answer(status=429),
    Answer(body=b"<html>"),
    Answer.json(
        {"access_token": {"nested": "nested-secret-token"}, "refresh_token": "lone-secret"}
    ),
    Answer.json({"access_token": "token-of-another-type", "token_type": "mac"}),
]


def use(session: Session, name: str) -> None:
    """Log in, refresh, and cause every error that a test can."""
    deployment, endpoint = session.deployment, session.endpoint
    for text in ("nested-secret-token", "lone-secret", "token-of-another-type"):
        session.secrets[text] = text
    session.log_in(name, "code-of-a-login-that-works")
    session.token(name)
    deployment.age(name, by=OVER)
    session.token(name)
    session.log_in_by_link(f"{name}-by-link", "code-of-a-login-by-link")
    # Every failure, of a code and of a refresh before and after the answer.
    for number, failure in enumerate(FAILURES):
        endpoint.plan(failure)
        session.log_in(f"{name}-{number}", f"code-that-fails-{number}")
        for by in (OVER, NEAR_END):
            grant = fresh()
            session.secrets[f"seeded access token {number} {by}"] = grant.tokens.access_token
            session.secrets[f"seeded refresh token {number} {by}"] = str(grant.tokens.refresh_token)
            deployment.put(f"{name}-{number}", grant)
            deployment.age(f"{name}-{number}", by=by)
            endpoint.plan(failure)
            asked = len(endpoint.seen)
            session.token(f"{name}-{number}")
            session.wait_for_refresh(f"{name}-{number}", after=asked)
            session.verify(f"{name}-{number}")
    # Invalid callbacks, and callers without access.
    session.keep(
        deployment.callback(HTML, code="stray-code", state="stray-state"),
        deployment.callback(JSON, code="stray-code", state="stray-state"),
        deployment.callback(JSON, code="stray-code", error="x", state=STATE),
        deployment.callback(JSON, error="access_denied", state=STATE),
        deployment.call("GET", at("/api/token", api_key=API_KEY)),
        deployment.call("GET", "/api/token", ("authorization", f"Basic {API_KEY}")),
        deployment.call("GET", "/api/token", ("x-api-key", API_KEY + API_KEY)),
        deployment.call("GET", f"/api/token?connection=/{API_KEY}", deployment.key),
        deployment.call("GET", f"/api/token?min_ttl={API_KEY}", deployment.key),
        deployment.call("GET", f"/api/token?{API_KEY}={API_KEY}&a=%ff", deployment.key),
        deployment.call("DELETE", f"/api/token?{API_KEY}", deployment.key),
        deployment.post("/api/login", content=API_KEY.encode() * 3000),
        deployment.call("POST", at(TOKEN_URL, client_secret=API_KEY), FORM, content=b"x=y"),
        deployment.call(
            "POST",
            f"{TOKEN_URL}?min_ttl={API_KEY}",
            FORM,
            content=f"{REFRESH}&x={API_KEY}".encode(),
        ),
        deployment.call("POST", TOKEN_URL, FORM, content=f"{REFRESH}&scope={API_KEY}%00".encode()),
    )
    session.secrets |= {"a stray code": "stray-code", "a stray state": "stray-state"}
    deployment.revoke(name)
    session.token(name)
    session.add_tokens()


def expect_nothing_of(secrets: dict[str, str], text: str, where: str) -> None:
    """Expect no secret in a text, in any encoding."""
    found = {
        f"{name} ({form.__name__})"
        for name, secret in secrets.items()
        for form in (str, quote, quote_plus, fully_quoted, in_base64, json.dumps, repr)
        if form(secret).strip("'\"") in text
    }
    assert not found, f"{where}: {sorted(found)}"


def fully_quoted(secret: str) -> str:
    return quote(secret, safe="")


def in_base64(secret: str) -> str:
    return b64encode(secret.encode()).decode().rstrip("=")


@on_each_host_and_store
def test_checklist_53_no_secret_is_answered_or_logged_in_a_whole_session(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, CLIENT_SECRET=SECRET, OAUTH_STATE=STATE)
    session = Session(deployment, endpoint)
    use(session, "canary")
    stored = raw_content(deployment.environ)
    deployment.running.stop()

    log = deployment.running.log()
    assert len(session.secrets) > 50
    said = "".join(session.said)
    assert [event for event in HistoryEvent if f'"event":"{event.value}"' in said] == [
        HistoryEvent.LOGIN,
        HistoryEvent.REFRESH,
        HistoryEvent.REFRESH_FAILED,
        HistoryEvent.REFRESH_REFUSED,
        HistoryEvent.REVOKED,
        HistoryEvent.REVOCATION_ENDED,
    ]
    # The log is there, at its lowest level.
    said_by_httpcore = "send_request_headers.started"
    assert (deployment.host.log_level > logging.DEBUG) or said_by_httpcore in log
    assert "HTTP Request: POST" in log
    assert "connection canary" in log
    expect_nothing_of(session.secrets, log, "the log")
    expect_nothing_of(session.secrets, said, "an answer")
    expect_nothing_of(session.secrets, stored, "the store")


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_checklist_44_no_secret_is_quoted_from_a_provider_that_repeats_a_request(
    deploy: Deploy, endpoint: TokenEndpoint, method: str
) -> None:
    deployment = deploy(**endpoint.environ, CLIENT_SECRET=SECRET, TOKEN_ENDPOINT_AUTH_METHOD=method)
    session = Session(deployment, endpoint)
    pair = f"{quote_plus(deployment.environ['CLIENT_ID'])}:{quote_plus(SECRET)}"
    session.secrets["the Basic credentials"] = in_base64(pair)
    endpoint.plan(*[Answer.echo(status=400)] * 2)
    session.log_in("echo", "a code/with+special%characters")
    deployment.put("echo", grant := over())
    session.secrets["the refresh token"] = str(grant.tokens.refresh_token)
    endpoint.plan(Answer.echo(status=400))
    session.token("echo")
    session.add_tokens()
    deployment.running.stop()
    expect_nothing_of(session.secrets, deployment.running.log(), "the log")
    expect_nothing_of(session.secrets, "".join(session.said), "an answer")


# --- the texts of objects

PRODUCT = [
    Path(__file__).parents[3] / name for name in ("adapters", "domain", "functions", "ports")
]
SECRET_FIELDS = frozenset(
    [
        *(
            "access_token",
            "api_key",
            "auth",
            "authorization_url",
            "body",
            "browser",
            "client_secret",
            "pem",
            "previous_client_secret",
        ),
        *("code", "code_verifier", "cron_secret", "digest", "encryption_keys", "headers", "link"),
        *("oauth_state", "parameters", "refresh_token", "state", "token"),
    ]
)
WITHOUT_A_SECRET = {
    # A hash, our own headers, and encrypted records.
    *("PendingLogin.browser", "Problem.headers", "Response.headers", "WebAnswer.headers"),
    *("Operation.body", "Operation.parameters", "_Call.body"),
}


def test_no_object_shows_a_secret() -> None:
    """The repr of every dataclass and tuple leaves out its secrets; others show no fields."""
    shown = {
        f"{node.name}.{field.target.id}"
        for folder in PRODUCT
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _shows_fields(node)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if field.target.id in SECRET_FIELDS and "repr=False" not in ast.unparse(field)
    }
    assert shown == WITHOUT_A_SECRET


def _shows_fields(node: ast.ClassDef) -> bool:
    """Whether it is a dataclass, or a named tuple without a repr of its own."""
    if any(ast.unparse(base) == "NamedTuple" for base in node.bases):
        names = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
        return "__repr__" not in names
    return any(ast.unparse(each).startswith("dataclass") for each in node.decorator_list)


# --- the local server


def test_local_server_logs_no_secret(tmp_path: Path, portal: BlockingPortal) -> None:
    with server_process(["-m", "infra.local.run"], {}, folder=tmp_path) as running:
        local = tmp_path / ".local"
        key = (local / "api-key").read_text().strip()
        with httpx.Client(base_url=running.base_url, verify=False, trust_env=False) as client:  # noqa: S501
            begun = client.post("/api/login", headers={"x-api-key": key}).json()
            url = begun["authorization_url"]
            peer = SimulatedDigiKeyPeer(
                address=url.partition("/v1/")[0],
                client_id=query_of(url)["client_id"],
                client_secret="",
                redirect_uri=query_of(url)["redirect_uri"],
            )
            callback_url = peer.allow(url)
            assert client.get(callback_url).status_code == 200
            refused = client.get("/api/callback?error=access_denied")
            token = expect_token(client.get("/api/token", headers={"x-api-key": key}))
            # Again, as browsers do.
            assert client.get(callback_url).status_code == 200
        assert peer.accepts(token)
        secrets = {
            "the API key": key,
            "the access token": token,
            "the code": query_of(callback_url)["code"],
            "the state": query_of(callback_url)["state"],
            "the client secret": (local / "simulated-client-secret").read_text().strip(),
        }
        running.stop()
        log = running.log()
        expect_nothing_of(secrets, log, "the output")
        expected = f"WARNING {refused.headers['x-request-id']} a callback that belongs to no login"
        assert re.search(rf"^20\S+\+00:00 {re.escape(expected)}", log, re.MULTILINE)
        assert re.search(r"^20\S+\+00:00 INFO - Started server process", log, re.MULTILINE)
    portal.call(running.transport.aclose)
