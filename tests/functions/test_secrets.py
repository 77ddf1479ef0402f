"""No secret where it does not belong: a whole session, and everything that was said in it."""

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from domain.authorization import AuthorizationResponse, PendingLogin, authorization_url
from domain.events import AttemptEnded, LoginCompleted, TokenRequested
from domain.grant import Attempt, AuthorizationRequired, Authorized, Cause, Refreshing
from domain.ledger import HistoryEvent
from domain.token_endpoint import RefreshTokenRequest, TokenResponse
from functions.http.messages import Request, Response
from functions.login.links import LoginOffer
from functions.login.logins import BegunLogin
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.conftest import Deploy, environ_for
from tests.functions.deployment import API_KEY, HTML, JSON, Deployment, at, query_of
from tests.functions.expect import expect_token
from tests.functions.grants import NEAR_END, OVER, fresh, over
from tests.functions.hosts import Running, server_process
from tests.functions.stores import raw_content
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

# With `+ / % :` in it, so that every encoding of it looks different.
SECRET = "client%secret+with:special/characters"
STATE = "the static/state of the tests"


class Session:
    """A deployment in use: all that it was entrusted with, and all that it said."""

    def __init__(self, deployment: Deployment, endpoint: TokenEndpoint) -> None:
        self.deployment = deployment
        self.endpoint = endpoint
        self.secrets: dict[str, str] = {
            "the client secret": deployment.environ["CLIENT_SECRET"],
            "the API key": deployment.environ["API_KEY"],
            "the static state": deployment.environ.get("OAUTH_STATE", STATE),
        }
        self.said: list[str] = []

    def keep(self, *answers: httpx.Response) -> None:
        """Note answers in which no secret belongs."""
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
        """Look at a link, and log in by it; with it a stranger could."""
        link = self.deployment.link(connection)
        self.deployment.open_link(link)
        begun = self.deployment.press(link)
        cookie = begun.headers["set-cookie"].partition(";")[0]
        state = query_of(begun.headers["location"])["state"]
        self.secrets |= {
            f"the link {code}": query_of(link)["link"],
            f"what the browser remembers of {code}": cookie.partition("=")[2],
            f"the state {code}": state,
            f"the code {code}": code,
        }
        self.keep(
            self.deployment.press(link),
            self.deployment.callback(HTML, ("cookie", cookie), code=code, state=state),
        )

    def note_tokens(self) -> None:
        """Note what the provider gave and was sent."""
        for number, members in enumerate(self.endpoint.given):
            self.secrets[f"access token {number}"] = str(members["access_token"])
            self.secrets[f"refresh token {number}"] = str(members["refresh_token"])
        for number, seen in enumerate(self.endpoint.seen):
            if "code_verifier" in seen.form:
                self.secrets[f"code verifier {number}"] = seen.form["code_verifier"]

    def token(self, connection: str) -> None:
        """Ask for a token; in an answer that has one, it is what belongs there."""
        answer = self.deployment.token(connection)
        if answer.status_code == 200:
            members = answer.json()
            del members["access_token"]
            self.said.append(f"{answer.headers.raw}\n{json.dumps(members)}")
        else:
            self.keep(answer)
        self.verify(connection)

    def verify(self, connection: str) -> None:
        """Ask how the connection stands, and what has become of it."""
        target = at("/api/verify", connection=connection, history="1")
        self.keep(self.deployment.verify(connection), self.deployment.get(target))


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
    """Log in, refresh, and make every error happen that a test can."""
    deployment, endpoint = session.deployment, session.endpoint
    for text in ("nested-secret-token", "lone-secret", "token-of-another-type"):
        session.secrets[text] = text
    session.log_in(name, "code-of-a-login-that-works")
    session.token(name)
    deployment.age(name, by=OVER)
    session.token(name)
    session.log_in_by_link(f"{name}-by-link", "code-of-a-login-by-link")
    # Every way to fail, of a code and of a refresh in front of and behind the answer.
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
            while len(endpoint.seen) == asked:
                session.verify(f"{name}-{number}")
    # Logins that do not come back as they should, and callers that are not let in.
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
    )
    session.secrets |= {"a stray code": "stray-code", "a stray state": "stray-state"}
    deployment.revoke(name)
    session.token(name)
    session.note_tokens()


def expect_nothing_of(secrets: dict[str, str], text: str, where: str) -> None:
    """Expect no secret in a text, in whatever encoding."""
    found = {
        f"{name} ({form.__name__})"
        for name, secret in secrets.items()
        for form in (str, quote, quote_plus, fully_quoted, in_base64, in_json, repr)
        if form(secret).strip("'\"") in text
    }
    assert not found, f"{where}: {sorted(found)}"


def fully_quoted(secret: str) -> str:
    return quote(secret, safe="")


def in_base64(secret: str) -> str:
    return b64encode(secret.encode()).decode().rstrip("=")


def in_json(secret: str) -> str:
    return json.dumps(secret)


def test_checklist_53_no_secret_is_said_or_logged_in_a_whole_session(
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
    # The log is there, and at its most talkative.
    said_by_httpcore = "send_request_headers.started"
    assert (deployment.host.log_level > logging.DEBUG) or said_by_httpcore in log
    assert "HTTP Request: POST" in log
    assert "connection canary" in log
    expect_nothing_of(session.secrets, log, "the log")
    for answer in session.said:
        expect_nothing_of(session.secrets, answer, f"an answer: {answer}")
    expect_nothing_of(session.secrets, stored, "the store")


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_checklist_44_provider_that_repeats_what_it_was_sent_gives_nothing_away(
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
    session.note_tokens()
    deployment.running.stop()
    expect_nothing_of(session.secrets, deployment.running.log(), "the log")
    for said in session.said:
        expect_nothing_of(session.secrets, said, f"an answer: {said}")


# --- what is printed of objects


def test_no_object_shows_the_secret_that_it_holds(
    running_digikey: SimulatedDigiKeyPeer, tmp_path: Path
) -> None:
    secret = "a-secret-that-must-not-show"
    now = datetime.now(UTC)
    grant = fresh()
    response = TokenResponse(
        access_token=secret,
        token_type="Bearer",
        expires_in=timedelta(minutes=30),
        refresh_token=secret,
        refresh_token_expires_in=None,
        scope=None,
    )
    pending = PendingLogin(
        connection="default",
        redirect_uri="https://keeper.test/api/callback",
        code_verifier=secret,
        expires_at=now,
    )
    attempt = Attempt(
        id="an-id", authorized_at=now, generation=0, client="a-client", started_at=now
    )
    environ = {
        **environ_for(running_digikey, tmp_path),
        "CLIENT_SECRET": secret,
        "API_KEY": secret,
        "OAUTH_STATE": secret,
        "ENCRYPTION_KEYS": in_base64("0123456789abcdef" * 2) + "=",
    }
    settings = Settings.from_environ(environ)
    wiring = Wiring(settings)
    url = authorization_url(settings.provider, client_id="x", state=secret, pending=pending)
    held = [
        grant,
        grant.tokens,
        Refreshing(tokens=grant.tokens, attempt=attempt, failure_state=None),
        AuthorizationRequired(
            tokens=grant.tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="a-client", since=now
        ),
        Authorized(tokens=grant.tokens),
        response,
        AttemptEnded(attempt=attempt, outcome=response),
        LoginCompleted(response=response, requested_at=now),
        TokenRequested(attempt_id="an-id"),
        RefreshTokenRequest(refresh_token=secret),
        pending,
        pending.code_request(secret),
        BegunLogin(
            authorization_url=url, state=secret, lifetime=timedelta(minutes=10), browser=secret
        ),
        AuthorizationResponse(state=secret, code=secret, issuer=None, browser=secret),
        LoginOffer(url="https://keeper.test/api/login", link=secret, may_log_in=True),
        settings,
        wiring,
        wiring.keeper,
        wiring.logins,
        wiring.keeper._server,
        wiring.store,
        Request(
            method="GET",
            path="/api/token",
            parameters={"code": secret},
            headers=((b"x-api-key", secret.encode()),),
            body=secret.encode(),
        ),
        Response(status=200, body=secret.encode()),
    ]
    secrets = {
        "secret": secret,
        "access token": grant.tokens.access_token,
        "refresh token": str(grant.tokens.refresh_token),
        "encryption key": environ["ENCRYPTION_KEYS"],
    }
    for value in held:
        for form in (repr, str, "{}".format):
            expect_nothing_of(secrets, form(value), type(value).__name__)


# --- the local server


def test_local_server_logs_no_secret(tmp_path: Path, portal: BlockingPortal) -> None:
    with server_process(["-m", "infra.local.run"], {}, folder=tmp_path) as running:
        key = (tmp_path / ".local" / "api-key").read_text().strip()
        with client_of(running) as client:
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
            token = expect_token(client.get("/api/token", headers={"x-api-key": key}))
            # Delivered again, as browsers do it.
            assert client.get(callback_url).status_code == 200
        assert peer.accepts(token)
        secrets = {
            "the API key": key,
            "the access token": token,
            "the code": query_of(callback_url)["code"],
            "the state": query_of(callback_url)["state"],
            "the client secret": (tmp_path / ".local" / "simulated-client-secret")
            .read_text()
            .strip(),
        }
        running.stop()
        expect_nothing_of(secrets, running.log(), "what it printed")
    portal.call(running.transport.aclose)


@contextmanager
def client_of(running: Running) -> Iterator[httpx.Client]:
    """An ordinary client of a server."""
    with httpx.Client(base_url=running.base_url, verify=False, trust_env=False) as client:  # noqa: S501
        yield client
