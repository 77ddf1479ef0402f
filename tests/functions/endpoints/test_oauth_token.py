"""POST /api/oauth/token: the answers of RFC 6749 §5, behind the gate and the limits of all."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from anyio.from_thread import BlockingPortal

from domain.grant import Moved
from domain.ledger import HistoryEvent
from functions.access.token_requests import TokenRequest
from functions.endpoints.oauth_token import _members
from functions.endpoints.promises.document import openapi_document
from functions.http.problems import PROBLEMS
from functions.routes import METADATA, TOKEN_URL
from tests.functions.access.test_api_keys import api_keys, entry
from tests.functions.conftest import Deploy, deployed_over_new_store
from tests.functions.deployment import API_KEY, PUBLIC_URL, Call, Deployment, Header, at, query_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_common_headers, expect_json, expect_problem
from tests.functions.grants import DAY, MINUTE, authorized, fresh, over
from tests.functions.hosts import Host, on_each_host
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

FORM = ("content-type", "application/x-www-form-urlencoded")
GRANT = {"grant_type": "client_credentials"}
POST = {**GRANT, "client_id": "an-app", "client_secret": API_KEY}
REFRESH = {"grant_type": "refresh_token", "refresh_token": API_KEY}
# As `openssl rand -base64` makes them.
ODD_KEY = "a+key/with%41 odd:characters=="
NARROW_KEY, VERIFIER = "the-key-of-one-connection", "the-key-of-a-monitor"
KEYS = api_keys(
    entry("odd", ODD_KEY),
    entry("narrow", NARROW_KEY, connections=["alice"]),
    entry("verifier", VERIFIER, endpoints=["verify"]),
    entry("old", "the-key-of-last-year", expires="2020-01-31"),
)
WRONG = "another-key-that-nobody-has"


def ask(
    deployment: Deployment, form: Mapping[str, str] | bytes, *headers: Header, **url: str
) -> httpx.Response:
    """POST a form."""
    content = form if isinstance(form, bytes) else urlencode(form).encode()
    return deployment.call("POST", at(TOKEN_URL, **url), FORM, *headers, content=content)


def basic(client_id: str, secret: str) -> Header:
    """HTTP Basic, with nothing encoded."""
    return ("authorization", f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode()}")


def expect_oauth_token(answer: httpx.Response) -> dict[str, Any]:
    """Expect RFC 6749 §5.1, and return the members."""
    members = expect_json(answer)
    assert answer.headers["pragma"] == "no-cache"
    assert members["token_type"] == "Bearer"
    assert None not in members.values()
    return members


def expect_oauth_error(answer: httpx.Response, status: int, error: str) -> str:
    """Expect RFC 6749 §5.2, and return the description."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    expect_common_headers(answer)
    assert answer.headers["pragma"] == "no-cache"
    members: dict[str, str] = answer.json()
    assert set(members) == {"error", "error_description"}
    assert members["error"] == error, members
    challenge = {401: 'Basic realm="oauth-callback"'}.get(status)
    assert answer.headers.get("www-authenticate") == challenge
    text = members["error_description"]
    assert text.isascii()
    assert text.isprintable()
    assert not {'"', "\\"} & set(text)
    return text


@pytest.fixture(scope="module")
def keyed(
    host: Host, portal: BlockingPortal, running_digikey: SimulatedDigiKeyPeer
) -> Iterator[Deployment]:
    """A deployment with several keys."""
    with deployed_over_new_store(host, portal, running_digikey, {"API_KEYS": KEYS}) as deployment:
        yield deployment


# Tokens


@on_each_host
def test_checklist_55_token_is_the_one_of_get_and_expires_when_it_does(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    shown = deployment.token(connection).json()
    for form, headers in ((POST, ()), (GRANT, (basic("an-app", API_KEY),)), (REFRESH, ())):
        members = expect_oauth_token(ask(deployment, form, *headers, connection=connection))
        assert members["access_token"] == shown["access_token"]
        # The true rest: later answers have less.
        assert shown["expires_in"] - 60 < members.pop("expires_in") <= shown["expires_in"]
        # Some clients lose a refresh token that the answer leaves out.
        assert members.pop("refresh_token", None) == form.get("refresh_token")
        assert set(members) == {"access_token", "token_type"}
    old = shown["access_token"]
    deployment.age(connection, by=timedelta(minutes=31))
    new = expect_oauth_token(ask(deployment, POST, connection=connection))["access_token"]
    assert new != old
    assert deployment.provider.accepts(new)


def test_fresh_token_costs_one_round_trip_and_its_event_has_the_key(
    keyed: Deployment, connection: str
) -> None:
    keyed.log_in(connection)
    form = {**GRANT, "client_secret": ODD_KEY}
    timing = ask(keyed, form, connection=connection).headers["server-timing"]
    assert timing.startswith("store;")
    assert 'desc="round trips: 1", total' in timing
    keyed.age(connection, by=timedelta(minutes=31))
    expect_oauth_token(ask(keyed, form, connection=connection))
    history = keyed.get(at("/api/verify", connection=connection, history="1")).json()["history"]
    assert (history[0]["event"], history[0]["key"]) == (HistoryEvent.REFRESH.value, "odd")


@pytest.mark.parametrize(
    ("left", "min_ttl", "is_new"),
    [(14 * MINUTE, "600", False), (14 * MINUTE, "900", True), (MINUTE, "0", False)],
)
def test_min_ttl_is_in_the_url(
    scripted: Deployment,
    connection: str,
    *,
    left: timedelta,
    min_ttl: str,
    is_new: bool,
) -> None:
    now = datetime.now(UTC)
    grant = authorized(access_ends=now + left, refresh_ends=now + DAY)
    scripted.put(connection, grant)
    answer = ask(scripted, POST, connection=connection, min_ttl=min_ttl)
    token = expect_oauth_token(answer)["access_token"]
    assert (token != grant.tokens.access_token) is is_new


def test_token_without_an_end_has_its_scope_and_the_members_of_its_provider(
    scripted: Deployment, connection: str
) -> None:
    grant = authorized(access_ends=None, refresh_ends=None)
    extra = (("instance_url", "https://eu.example"), ("expires_in", 5), ("error", "x"))
    tokens = replace(grant.tokens, scope="read write", extra=extra)
    scripted.put(connection, replace(grant, tokens=tokens))
    assert expect_oauth_token(ask(scripted, POST, connection=connection)) == {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "scope": "read write",
        "instance_url": "https://eu.example",
    }


@pytest.mark.parametrize(("left", "expires_in"), [(0.2, 1), (1.9, 1), (2, 2), (1799.5, 1799)])
def test_lifetime_is_rounded_down_to_what_clients_do_not_take_for_endless(
    left: float, expires_in: int
) -> None:
    now = datetime.now(UTC)
    grant = authorized(access_ends=now + timedelta(seconds=left), refresh_ends=None)
    asked = TokenRequest(client_id=None, scope=None, keys=())
    assert _members(asked, grant.tokens, now)["expires_in"] == expires_in


@pytest.mark.parametrize(
    ("granted", "asked", "missing"),
    [
        pytest.param("read write", "write", None, id="a part"),
        pytest.param("read write", "write  read", None, id="all"),
        pytest.param("read", "", None, id="none"),
        pytest.param(None, "read", None, id="unknown what was granted"),
        pytest.param("read", "read admin", "admin", id="more"),
        pytest.param("read", "read\n", "malformed", id="malformed"),
        pytest.param("read", 'a"b', "malformed", id="a quotation mark"),
    ],
)
def test_scope_must_have_been_granted(
    scripted: Deployment, connection: str, granted: str | None, asked: str, missing: str | None
) -> None:
    grant = fresh()
    scripted.put(connection, replace(grant, tokens=replace(grant.tokens, scope=granted)))
    answer = ask(scripted, {**POST, "scope": asked}, connection=connection)
    if missing is None:
        assert expect_oauth_token(answer).get("scope") == granted
    else:
        assert missing in expect_oauth_error(answer, 400, "invalid_scope")


# The API key


@on_each_host
@pytest.mark.parametrize(
    ("form", "headers"),
    [
        pytest.param(GRANT, [basic("app", quote_plus(ODD_KEY))], id="basic, encoded"),
        pytest.param(GRANT, [basic("app", ODD_KEY)], id="basic, not encoded"),
        pytest.param(GRANT, [basic("", ODD_KEY)], id="basic without an id"),
        pytest.param({**GRANT, "client_id": "a b"}, [basic("a+b", ODD_KEY)], id="the id twice"),
        pytest.param({**GRANT, "client_secret": ODD_KEY}, [], id="post without an id"),
        pytest.param(
            {"grant_type": "refresh_token", "refresh_token": ODD_KEY},
            [basic("app", "of another")],
            id="refresh token and any secret",
        ),
        pytest.param(
            {**POST, **REFRESH, "refresh_token": ODD_KEY, "client_secret": WRONG},
            [],
            id="refresh token and any secret of the form",
        ),
        pytest.param(
            {**GRANT, "client_secret": ODD_KEY, "resource": "x", "x": ""}, [], id="unknown ones"
        ),
    ],
)
def test_key_is_read_wherever_clients_put_it(
    keyed: Deployment, connection: str, form: Mapping[str, str], headers: list[Header]
) -> None:
    keyed.put(connection, fresh())
    expect_oauth_token(ask(keyed, form, *headers, connection=connection))


@pytest.mark.parametrize(
    ("form", "headers", "text"),
    [
        pytest.param(GRANT, [], "no client secret", id="none"),
        pytest.param({**GRANT, "client_id": API_KEY}, [], "no client secret", id="as the id"),
        pytest.param({**POST, "client_secret": ""}, [], "no client secret", id="empty"),
        pytest.param(GRANT, [basic("app", "")], "no client secret", id="empty in Basic"),
        pytest.param({**POST, "client_secret": WRONG}, [], "is unknown", id="wrong"),
        pytest.param(GRANT, [basic("app", WRONG)], "is unknown", id="wrong in Basic"),
        pytest.param(
            {**REFRESH, "refresh_token": WRONG}, [], "is unknown", id="wrong refresh token"
        ),
        pytest.param(
            {**POST, "client_secret": "the-key-of-last-year"}, [], "'old' has expired", id="expired"
        ),
        pytest.param(GRANT, [("authorization", "Basic !")], "Malformed", id="malformed"),
        pytest.param(GRANT, [("authorization", f"Bearer {API_KEY}")], "unsupported", id="bearer"),
        pytest.param(GRANT, [("x-api-key", API_KEY)], "no client secret", id="x-api-key"),
    ],
)
def test_checklist_51_client_without_a_valid_key_is_challenged(
    keyed: Deployment, form: Mapping[str, str], headers: list[Header], text: str
) -> None:
    rows = keyed.rows()
    # The key is checked before the connection, and before min_ttl.
    for url in ({}, {"connection": "/"}, {"min_ttl": "x"}):
        answer = ask(keyed, form, *headers, **url)
        assert text in expect_oauth_error(answer, 401, "invalid_client")
        assert WRONG not in answer.text
    assert keyed.rows() == rows


@pytest.mark.parametrize(
    ("key", "url", "text"),
    [
        pytest.param(NARROW_KEY, {"connection": "bob"}, "the connection bob", id="connection"),
        pytest.param(NARROW_KEY, {}, "the connection default", id="the default one"),
        pytest.param(VERIFIER, {}, "the endpoint token", id="endpoint"),
    ],
)
def test_key_that_is_not_for_that_is_an_unauthorized_client(
    keyed: Deployment, key: str, url: dict[str, str], text: str
) -> None:
    answer = ask(keyed, {**POST, "client_secret": key}, **url)
    assert text in expect_oauth_error(answer, 400, "unauthorized_client")


# Requests that are wrong


@pytest.mark.parametrize(
    ("form", "headers", "url", "text"),
    [
        pytest.param(b"", [], {}, "grant_type is missing", id="empty"),
        pytest.param(
            {**POST, "grant_type": ""}, [], {}, "grant_type is missing", id="empty grant type"
        ),
        pytest.param(
            b"grant_type=a&grant_type=b", [], {}, "grant_type appears more", id="repeated"
        ),
        pytest.param(
            urlencode(POST).encode() + b"&client%5Fsecret=x",
            [],
            {},
            "client_secret appears more",
            id="repeated in disguise",
        ),
        pytest.param(b"grant_type=%ff", [], {}, "cannot be decoded", id="not UTF-8"),
        pytest.param(
            {"grant_type": "refresh_token", "client_secret": API_KEY},
            [],
            {},
            "refresh_token is missing",
            id="no refresh token",
        ),
        pytest.param(
            POST, [basic("an-app", API_KEY)], {}, "in two ways", id="both authentications"
        ),
        pytest.param(
            {**REFRESH, "client_secret": "x"},
            [basic("a", "x")],
            {},
            "in two ways",
            id="both, and a refresh token",
        ),
        pytest.param(
            {**GRANT, "client_id": "a"},
            [basic("b", API_KEY)],
            {},
            "two different client ids",
            id="two ids",
        ),
        pytest.param(
            GRANT, [], {"client_secret": API_KEY}, "replace this API key", id="secret in the URL"
        ),
        pytest.param(
            REFRESH, [], {"grant_type": "refresh_token"}, "grant_type in the body", id="URL"
        ),
        pytest.param(
            {**POST, "connection": "alice"},
            [],
            {},
            "connection in the URL, as in ?connection=VALUE",
            id="connection in the body",
        ),
        pytest.param(POST, [], {"conection": "a"}, "Unknown parameter 'conection'", id="misspelt"),
        pytest.param(POST, [], {"connection": "/"}, "Invalid connection name", id="connection"),
        pytest.param(POST, [], {"min_ttl": "soon"}, "Invalid min_ttl", id="min_ttl"),
    ],
)
def test_checklist_50_invalid_token_request_is_refused_and_changes_nothing(
    deployment: Deployment,
    form: Mapping[str, str] | bytes,
    headers: list[Header],
    url: dict[str, str],
    text: str,
) -> None:
    rows = deployment.rows()
    answer = ask(deployment, form, *headers, **url)
    assert text in expect_oauth_error(answer, 400, "invalid_request")
    assert API_KEY not in answer.text
    assert deployment.rows() == rows


@pytest.mark.parametrize("grant_type", ["password", "authorization_code", "Client_Credentials"])
def test_other_grant_types_are_not_supported(deployment: Deployment, grant_type: str) -> None:
    answer = ask(deployment, {**POST, "grant_type": grant_type})
    text = expect_oauth_error(answer, 400, "unsupported_grant_type")
    assert "client_credentials or refresh_token" in text


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "", None])
def test_only_a_form_is_read(deployment: Deployment, kind: str | None) -> None:
    headers = () if kind is None else (("content-type", kind),)
    content = json.dumps(POST).encode() if kind == "application/json" else urlencode(POST).encode()
    answer = deployment.call("POST", TOKEN_URL, *headers, content=content)
    assert "content type" in expect_oauth_error(answer, 400, "invalid_request")


@on_each_host
def test_request_that_is_too_large_is_refused(deployment: Deployment) -> None:
    expect_oauth_error(ask(deployment, b"x" * (64 * 1024 + 1)), 413, "invalid_request")
    expect_oauth_error(ask(deployment, POST, x="a" * 9000), 414, "invalid_request")


# Connections


def test_connection_is_that_of_the_url_or_of_the_client_id_or_the_default_one(
    deploy: Deploy,
) -> None:
    entries = {"erp": {"provider": "digikey", "client_id": "x", "client_secret": "y"}}
    deployment = deploy(
        CLIENTS=json.dumps(entries), API_KEYS=KEYS, ENCRYPTION_KEYS=encryption_key("deployment")
    )
    tokens = {}
    for name in ("default", "alice", "bob", "erp", "erp:alice"):
        grant = fresh()
        deployment.put(name, grant)
        tokens[grant.tokens.access_token] = name

    def connection_for(client_id: str, **url: str) -> str:
        by_basic = ask(deployment, GRANT, basic(quote_plus(client_id), API_KEY), **url)
        by_post = ask(deployment, {**POST, "client_id": client_id}, **url)
        found = {expect_oauth_token(answer)["access_token"] for answer in (by_basic, by_post)}
        return tokens[found.pop()]

    expected = {
        "erp": "erp",
        "erp:alice": "erp:alice",
        # A connection in API_KEYS.
        "alice": "alice",
        # Any other client id may mean anything.
        "bob": "default",
        "nobody:alice": "default",
        "https://an.app/?": "default",
        "": "default",
    }
    assert {client_id: connection_for(client_id) for client_id in expected} == expected
    assert connection_for("erp", connection="bob") == "bob"
    assert connection_for("erp", connection="default") == "default"


# Answers without a token


@on_each_host
def test_person_who_has_to_log_in_is_given_the_link_in_the_description(
    deployment: Deployment, connection: str
) -> None:
    answer = ask(deployment, POST, connection=connection)
    text = expect_oauth_error(answer, 400, "invalid_grant")
    before, link = text.split("To log in, open ")
    assert "Nobody has logged in" in before
    assert link.startswith(f"{PUBLIC_URL}/api/login?link=")
    begun = deployment.press(link)
    deployment.follow(
        deployment.provider.allow(begun.headers["location"]),
        ("cookie", begun.headers["set-cookie"].partition(";")[0]),
    )
    expect_oauth_token(ask(deployment, POST, connection=connection))
    assert query_of(link)["link"] not in deployment.running.log()


def test_key_that_is_not_for_logins_is_given_no_link(deploy: Deploy) -> None:
    deployment = deploy(API_KEYS=api_keys(entry("reader", NARROW_KEY, endpoints=["token"])))
    text = expect_oauth_error(
        ask(deployment, {**POST, "client_secret": NARROW_KEY}), 400, "invalid_grant"
    )
    assert text.endswith("an API key that is allowed for login and open the authorization_url.")


def test_connection_that_moved_is_an_invalid_grant(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, Moved(grant=fresh(), since=datetime.now(UTC)))
    text = expect_oauth_error(ask(deployment, POST, connection=connection), 400, "invalid_grant")
    assert "handed over" in text


@pytest.mark.parametrize(
    ("answer", "status", "error", "text"),
    [
        pytest.param(
            Answer.json({"error": "server_error"}, status=503),
            503,
            "temporarily_unavailable",
            "The provider is unavailable",
            id="unavailable",
        ),
        pytest.param(
            Answer.json(
                {"error": "invalid_client", "error_description": 'Ключ "x" \\ café…'}, status=401
            ),
            502,
            "server_error",
            "(invalid_client: ???? 'x' / caf?...)",
            id="client refused, quoted in ASCII",
        ),
        pytest.param(
            Answer.json({"error": "invalid_grant"}, status=400),
            400,
            "invalid_grant",
            "no longer accepts the refresh token",
            id="refresh token refused",
        ),
    ],
)
def test_refresh_that_fails_is_reported_with_a_time_to_retry(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    answer: Answer,
    status: int,
    error: str,
    text: str,
) -> None:
    scripted.put(connection, over())
    endpoint.plan(answer)
    answered = ask(scripted, POST, connection=connection)
    assert text in expect_oauth_error(answered, status, error)
    assert ("retry-after" in answered.headers) is (status != 400)


def test_fault_of_the_deployment_is_a_server_error(deploy: Deploy) -> None:
    right, wrong = deploy(), deploy(CLIENT_SECRET="another-client-secret")
    right.log_in("default")
    expect_oauth_error(ask(wrong, POST), 500, "server_error")
    unset = deploy(CLIENT_ID="")
    assert "CLIENT_ID" in expect_oauth_error(ask(unset, POST), 500, "server_error")


def test_store_that_is_away_is_temporary(deploy: Deploy, tmp_path: Any) -> None:
    (tmp_path / "no-database").write_text("no database " * 100)
    answer = ask(deploy(SQLITE_PATH=str(tmp_path / "no-database")), POST)
    expect_oauth_error(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


# Failures are counted as those of the other endpoints


@pytest.mark.parametrize(
    ("form", "url", "is_by_key"),
    [
        pytest.param({**POST, "client_secret": WRONG}, "", False, id="a wrong key"),
        pytest.param({}, "", False, id="nonsense without a key"),
        pytest.param({**POST, "client_secret": NARROW_KEY}, "", True, id="not for that"),
        pytest.param(POST, "?min_ttl=x", True, id="nonsense with a key"),
        pytest.param({**POST, "scope": "more"}, "?connection=alice", True, id="too much"),
    ],
)
def test_too_many_failures_are_answered_429(
    deploy: Deploy, form: Mapping[str, str], url: str, *, is_by_key: bool
) -> None:
    deployment = deploy(API_KEYS=KEYS, FAILURE_LIMIT="2")
    grant = fresh()
    deployment.put("alice", replace(grant, tokens=replace(grant.tokens, scope="read")))

    def fail(client: str, form: Mapping[str, str] = form, url: str = url) -> httpx.Response:
        call = Call(
            method="POST",
            target=TOKEN_URL + url,
            headers=(FORM,),
            content=urlencode(form).encode(),
            client=client,
        )
        return deployment.together([call])[0]

    for _ in range(2):
        assert fail("203.0.113.1").status_code in {400, 401}
    answer = fail("203.0.113.1")
    text = expect_oauth_error(answer, 429, "temporarily_unavailable")
    assert ("with the API key" if is_by_key else "from this address") in text
    assert int(answer.headers["retry-after"]) >= 1
    assert (fail("203.0.113.2").status_code == 429) is is_by_key
    # Valid requests still work.
    expect_oauth_token(fail("203.0.113.1", POST, "?connection=alice"))


# Around it


@on_each_host
def test_metadata_lead_to_the_endpoint(deployment: Deployment) -> None:
    members = expect_json(deployment.call("GET", METADATA))
    assert members == {
        "issuer": PUBLIC_URL,
        "token_endpoint": f"{PUBLIC_URL}{TOKEN_URL}",
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
    }


def test_metadata_need_the_address_of_the_deployment(deploy: Deploy) -> None:
    answer = deploy(PUBLIC_URL=None).call("GET", METADATA, ("host", "evil.test"))
    assert "PUBLIC_URL" in expect_problem(answer, 500, "not-configured")["detail"]


def test_every_problem_of_the_endpoint_has_a_documented_code() -> None:
    operation: Any = openapi_document()["paths"]
    responses = operation[TOKEN_URL]["post"]["responses"]
    statuses = {200, 400, 401, 408, 413, 414, 429, 431, 500, 502, 503}
    assert set(map(int, responses)) == statuses
    assert not [name for name in PROBLEMS if name in json.dumps(responses)]
