"""Callers with an identity token: accepted by an entry of CALLERS, and refused in all other cases.

The issuer is a real server. The attacks are those of RFC 8725 §2 and §3.
"""

import hmac
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.compact_token import MAX_TOKEN_BYTES
from domain.jwk_set import MAX_KEYS
from functions.access.token_requests import (
    ACCESS_TOKEN_TYPE,
    SUBJECT_TOKEN_TYPES,
    TOKEN_EXCHANGE,
)
from functions.routes import TOKEN_URL
from tests.client_keys import jwk_of, key_of
from tests.functions.commands import ROOT
from tests.functions.conftest import Deploy
from tests.functions.deployment import API_KEY, WITH_API_KEY, Deployment, Header, at
from tests.functions.expect import expect_json, expect_problem, expect_retry_after, expect_token
from tests.functions.grants import DAY, fresh
from tests.issuers import (
    ALGORITHM,
    AUDIENCE,
    DISCOVERY,
    KEY_ID,
    KEYS,
    SUBJECT,
    Issuer,
    page,
    part,
    running_issuer,
)
from tests.ports.scripted_server import Connection, Script, answer, serving
from tests.system.loopback import free_port

ENTRY: Mapping[str, object] = {"name": "deploy", "audience": AUDIENCE, "claims": {"sub": SUBJECT}}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with an RSA key."""
    with running_issuer() as issuer:
        yield issuer


def callers(issuer: Issuer, *entries: Mapping[str, object]) -> str:
    return json.dumps([{**ENTRY, "issuer": issuer.url, **entry} for entry in entries or ({},)])


def bearing(token: str) -> Header:
    return ("authorization", f"Bearer {token}")


# Accepted


@pytest.mark.parametrize(
    ("kind", "algorithm"), [*ALGORITHM.items(), ("rsa", "PS256"), ("rsa", "RS512")]
)
def test_token_of_each_accepted_algorithm_is_a_key(
    deploy: Deploy, issuer: Issuer, kind: str, algorithm: str
) -> None:
    # An issuer may publish the algorithm of a key, or not; and keys for other purposes.
    unrelated: list[Any] = [{"kty": "oct", "k": "c2V", "kid": KEY_ID}, {"kty": "RSA"}, "no key"]
    issuer.publish(*unrelated, jwk_of(kind, kid=KEY_ID))
    deployment = deploy(CALLERS=callers(issuer), API_KEY=None)
    deployment.put("default", fresh())
    token = issuer.token(kind, algorithm=algorithm)
    expect_token(deployment.call("GET", "/api/token", bearing(token)))
    expect_token(deployment.call("GET", "/api/token", ("x-api-key", token)))
    assert issuer.paths == [DISCOVERY, KEYS]


def test_first_entry_that_accepts_a_token_decides_what_it_is_for(
    deploy: Deploy, issuer: Issuer
) -> None:
    limited = {"connections": ["google:*", "default"], "endpoints": ["verify", "refresh"]}
    deployment = deploy(
        CALLERS=callers(
            issuer,
            {"name": "of-another-audience", "audience": "https://other.example"},
            {"name": "of-another-branch", "claims": {"sub": SUBJECT, "ref": "main"}},
            {"claims": {"sub": {"glob": "repo:acme/*"}, "attempt": 1, "tag": False}, **limited},
            {"name": "for-all"},
        )
    )
    deployment.put("default", fresh())
    token = issuer.token(aud=["https://a.example", AUDIENCE], attempt=1, tag=False)
    for method, path in WITH_API_KEY:
        called = deployment.call(method, path, bearing(token))
        if path in {"/api/verify", "/api/refresh"}:
            expect_json(called, called.status_code)
            continue
        detail = expect_problem(called, 403, "key-not-allowed")["detail"]
        assert detail.startswith("CALLERS does not allow the API key 'deploy' for the endpoint ")
    other = deployment.call("GET", at("/api/verify", connection="other"), bearing(token))
    expect_problem(other, 403, "key-not-allowed")
    # Not the third entry: it requires a number and a boolean.
    for attempt, tag in (("1", False), (1, 0)):
        token = issuer.token(attempt=attempt, tag=tag)
        expect_token(deployment.call("GET", "/api/token", bearing(token)))


def test_history_names_the_entry_and_the_subject(deploy: Deploy, issuer: Issuer) -> None:
    entry = {"claims": {"sub": {"glob": "repo:acme/*"}}}
    deployment = deploy(CALLERS=callers(issuer, entry))
    deployment.log_in("default")
    deployment.age("default", DAY)
    token = issuer.token(sub="repo:acme/\u202e\n" + "x" * 200)
    expect_json(deployment.call("POST", "/api/refresh", bearing(token)))
    members = deployment.get("/api/verify?history=1").json()
    subject = "repo:acme/??" + "x" * 88
    assert members["history"][0]["key"] == f"deploy ({subject})"


def test_api_key_causes_no_import_and_no_request(deploy: Deploy, issuer: Issuer) -> None:
    text = callers(issuer)
    deployment = deploy(CALLERS=text)
    deployment.put("default", fresh())
    expect_token(deployment.get("/api/token"))
    expect_problem(deployment.call("GET", "/api/token", bearing("no key")), 401, "api-key-invalid")
    script = (
        "import asyncio, sys, functions.asgi as asgi\n"
        "async def receive(): return {'type': 'http.request'}\n"
        "async def send(message): print(message.get('status'))\n"
        f"headers = [(b'x-api-key', b'{API_KEY}')]\n"
        "scope = dict(type='http', method='GET', path='/api/token', headers=headers)\n"
        "asyncio.run(asgi.app(scope, receive, send))\n"
        "print([name for name in ('jwt', 'httpx', 'functions.access.callers',"
        " 'adapters.identity_tokens_pyjwt') if name in sys.modules])"
    )
    environ = {**deployment.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["200", "None", "[]"], done.stderr
    assert issuer.server.connections == 0


# Refused


@dataclass(frozen=True, slots=True)
class Unasked:
    """A deployment whose store and provider count their connections, and a stranger's server."""

    deployment: Deployment
    peers: tuple[Any, ...]
    stranger: str

    def call(self, token: str) -> Any:
        """Call with a token, and check that no peer was asked."""
        called = self.deployment.call("GET", "/api/token", bearing(token))
        assert [peer.connections for peer in self.peers] == [0, 0, 0]
        return called


@pytest.fixture
def unasked(deploy: Deploy, issuer: Issuer) -> Iterator[Unasked]:
    """A deployment of one entry, whose store and provider are never asked."""
    away = answer("503 Service Unavailable")
    with serving(away) as store, serving(away) as provider, serving(away) as stranger:
        deployment = deploy(
            CALLERS=callers(issuer, {"claims": {"sub": SUBJECT, "ref": "refs/heads/main"}}),
            SQLITE_PATH=None,
            KV_REST_API_URL=store.endpoint,
            KV_REST_API_TOKEN="a-token",
            TOKEN_ENDPOINT=provider.endpoint,
        )
        yield Unasked(deployment, (store, provider, stranger), stranger.endpoint)


Attack = Callable[[Issuer, str], str]
"""Make a token, given the issuer and a server of the attacker."""


def with_header(**header: Any) -> Attack:
    return lambda issuer, _: issuer.token(header=header, ref="refs/heads/main")


def with_claims(**claims: Any) -> Attack:
    return lambda issuer, _: issuer.token(**{"ref": "refs/heads/main", **claims})


def later(seconds: int, *names: str) -> Attack:
    """Move times of the token."""

    def attack(issuer: Issuer, _: str) -> str:
        moved = {name: issuer.claims()["nbf"] + seconds for name in names}
        return issuer.token(ref="refs/heads/main", **moved)

    return attack


def unsigned(algorithm: str, signature: str) -> Attack:
    def attack(issuer: Issuer, _: str) -> str:
        header = part(json.dumps({"alg": algorithm, "kid": KEY_ID}).encode())
        return f"{header}.{part(json.dumps(issuer.claims()).encode())}.{signature}"

    return attack


def signed_with_the_public_key(issuer: Issuer, _: str) -> str:
    key: Any = key_of("rsa")
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, payload, _empty = unsigned("HS256", "")(issuer, "").split(".")
    signature = hmac.digest(pem, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{part(signature)}"


def publishing(*keys: Mapping[str, Any], kind: str = "rsa", algorithm: str | None = None) -> Attack:
    """Sign a good token, while the issuer publishes these keys."""

    def attack(issuer: Issuer, _: str) -> str:
        issuer.publish(*keys)
        return issuer.token(kind, algorithm=algorithm, ref="refs/heads/main")

    return attack


def with_own_key(*, kind: str = "p256", published: str = "rsa", **header: Any) -> Attack:
    """Sign with another key than the published one, and carry it or its address."""

    def attack(issuer: Issuer, stranger: str) -> str:
        issuer.publish(jwk_of(published, kid=KEY_ID))
        addresses = dict.fromkeys(("jku", "x5u"), stranger)
        return issuer.token(kind, header={**addresses, **header})

    return attack


def raw(header: str, payload: str | None = None) -> Attack:
    """Sign these texts as they are."""

    def attack(issuer: Issuer, _: str) -> str:
        key: Any = key_of("p256")
        issuer.publish(jwk_of("p256", kid=KEY_ID))
        claims = json.dumps(issuer.claims()) if payload is None else payload
        claims = claims.replace("ISSUER", issuer.url)
        signing_input = f"{part(header.encode())}.{part(claims.encode())}"
        algorithm = jwt.get_algorithm_by_name("ES256")
        signature = algorithm.sign(signing_input.encode(), key)
        return f"{signing_input}.{part(signature)}"

    return attack


def changed_claims(issuer: Issuer, _: str) -> str:
    header, _payload, signature = issuer.token().split(".")
    claims = issuer.claims(ref="refs/heads/main")
    return f"{header}.{part(json.dumps(claims).encode())}.{signature}"


def damaged(change: Callable[[list[str]], list[str]]) -> Attack:
    return lambda issuer, _: ".".join(change(issuer.token(ref="refs/heads/main").split(".")))


GOOD = f'{{"alg": "ES256", "kid": "{KEY_ID}"}}'
ATTACKS = {
    # RFC 8725 §2.1, §3.1, §3.2: the algorithm.
    "none": (unsigned("none", ""), "three base64url parts"),
    "none with a signature": (unsigned("none", "eA"), "`alg` must be one of RS256"),
    "nOnE": (unsigned("nOnE", "eA"), "`alg` must be one of RS256"),
    "HS256 with the public key": (signed_with_the_public_key, "`alg` must be one of RS256"),
    "a list of algorithms": (raw('{"alg": ["ES256"], "kid": "first"}'), "`alg` must be one"),
    "another algorithm of the key": (
        publishing({**jwk_of("rsa", kid=KEY_ID), "alg": "RS256"}, algorithm="PS256"),
        "publishes no key with its `kid` for its `alg`",
    ),
    "another kind of key": (lambda issuer, _: issuer.token("ed25519"), "publishes no key"),
    "a short key": (
        publishing(jwk_of("short-rsa", kid=KEY_ID)),
        "shorter than 2048 bits",
    ),
    "a key for encryption": (
        publishing(
            {**jwk_of("rsa", kid="other"), "kid": KEY_ID, "use": "enc"}, jwk_of("rsa", kid="2")
        ),
        "publishes no key",
    ),
    # §3.10: what the header has is not trusted.
    "kid is a path": (with_header(kid="../../../../dev/null"), "publishes no key"),
    "kid is SQL": (with_header(kid="' UNION SELECT 'key' --"), "publishes no key"),
    "kid is a URL": (
        lambda issuer, stranger: issuer.token(header={"kid": stranger}),
        "publishes no key",
    ),
    "kid is huge": (with_header(kid="k" * 5000), "`kid` must have 1 to 256"),
    "kid is empty": (with_header(kid=""), "`kid` must have"),
    "no kid": (raw('{"alg": "ES256"}'), "`kid` must have"),
    "kid is a number": (raw('{"alg": "ES256", "kid": 1}'), "`kid` must have"),
    "jwk": (with_own_key(jwk=jwk_of("p256", kid=KEY_ID)), "publishes no key"),
    "jku and x5u": (with_own_key(), "publishes no key"),
    "jku and x5u of a known key": (with_own_key(published="other-p256"), "signature is wrong"),
    "crit": (with_header(crit=["exp"], exp=1), "one of the extensions crit"),
    "b64": (raw(f'{{"alg": "ES256", "kid": "{KEY_ID}", "b64": true}}'), "one of the extensions"),
    "cty": (with_header(cty="JWT"), "one of the extensions"),
    "type of another purpose": (with_header(typ="logout+jwt"), "`typ` that is not JWT"),
    "type is a number": (with_header(typ=1), "`typ` that is not JWT"),
    # The signature.
    "signed by another key": (
        publishing(jwk_of("other-p256", kid=KEY_ID), kind="p256"),
        "signature is wrong",
    ),
    "a key that is not one": (
        publishing({"kty": "EC", "crv": "P-256", "x": 1, "y": "", "kid": KEY_ID}, kind="p256"),
        "signature is wrong",
    ),
    "claims changed": (changed_claims, "signature is wrong"),
    "signature cut": (
        damaged(lambda parts: [*parts[:2], parts[2][:-8]]),
        "signature is wrong",
    ),
    "padding": (damaged(lambda parts: [*parts[:2], f"{parts[2]}="]), "three base64url parts"),
    # A header or claims with two meanings.
    "claim twice": (raw(GOOD, '{"iss": "ISSUER", "sub": "a", "sub": "b"}'), "not JSON objects"),
    "header member twice": (raw('{"alg": "none", "alg": "ES256"}'), "not JSON objects"),
    "claims are a list": (raw(GOOD, '["ISSUER"]'), "not JSON objects"),
    "claims are deep": (raw(GOOD, '{"iss": ' + "[" * 3000), "not JSON objects"),
    "huge": (with_claims(filler="x" * MAX_TOKEN_BYTES), f"exceeds {MAX_TOKEN_BYTES} bytes"),
    # §3.8, §3.9: the issuer and the audience.
    "another issuer": (
        lambda issuer, stranger: issuer.token(iss=stranger),
        "No entry of CALLERS has the token's issuer",
    ),
    "issuer with a slash": (
        lambda issuer, _: issuer.token(iss=f"{issuer.url}/"),
        "has the token's issuer",
    ),
    "issuer is a list": (raw(GOOD, '{"iss": ["ISSUER"]}'), "has the token's issuer"),
    "no issuer": (raw(GOOD, "{}"), "has the token's issuer"),
    "another audience": (with_claims(aud="https://other.example"), "audience (`aud`)"),
    "an audience that begins alike": (with_claims(aud=f"{AUDIENCE}.evil"), "audience (`aud`)"),
    "other audiences": (with_claims(aud=["https://other.example"]), "audience (`aud`)"),
    "no audience": (with_claims(aud=None), "audience (`aud`)"),
    # Times.
    "expired": (later(-60, "exp"), "has expired"),
    "never expires": (with_claims(exp=None), "has no `exp`"),
    "expiry is a text": (raw(GOOD, '{"iss": "ISSUER", "exp": "9999999999"}'), "`exp` is not"),
    "expiry is infinite": (raw(GOOD, '{"iss": "ISSUER", "exp": 1e999}'), "`exp` is not a time"),
    "expiry is NaN": (raw(GOOD, '{"iss": "ISSUER", "exp": NaN}'), "not JSON objects"),
    "expiry is true": (raw(GOOD, '{"iss": "ISSUER", "exp": true}'), "`exp` is not a time"),
    "not valid yet": (later(120, "nbf"), "not valid yet"),
    "of the future": (later(120, "iat"), "not valid yet"),
    # Claims.
    "of another tenant": (with_claims(sub="repo:evil/shop:ref:refs/heads/main"), "see `sub`"),
    "no subject": (with_claims(sub=None), "see `sub`"),
    "in other letters": (with_claims(sub=SUBJECT.upper()), "see `sub`"),
    "longer": (with_claims(sub=f"{SUBJECT}x"), "see `sub`"),
    "of another branch": (with_claims(ref="refs/heads/other"), "see `ref`"),
    "a list of branches": (with_claims(ref=["refs/heads/main"]), "see `ref`"),
}


@pytest.mark.parametrize(("attack", "said"), ATTACKS.values(), ids=ATTACKS)
def test_checklist_64_65_66_67_token_that_is_not_accepted_is_refused_and_nothing_is_asked(
    unasked: Unasked, issuer: Issuer, attack: Attack, said: str
) -> None:
    token = attack(issuer, unasked.stranger)
    detail = expect_problem(unasked.call(token), 401, "api-key-invalid")["detail"]
    assert any(each in detail for each in said.split("|")), detail
    # Nothing of the token, and nothing of the entries.
    for secret in (*filter(None, token.split(".")), issuer.url, "acme", "evil", "deploy"):
        assert secret not in detail


REFUSED_KEYS: dict[str, tuple[str, Script]] = {
    "discovery is missing": (DISCOVERY, answer("404 Not Found")),
    "discovery redirects": (DISCOVERY, answer("302 Found", b"", "Location: /elsewhere")),
    "keys are missing": (KEYS, answer("500 Internal Server Error")),
    "keys redirect": (KEYS, answer("307 Temporary Redirect", b"", "Location: /more")),
    "keys are not JSON": (KEYS, answer("200 OK", b"<html>")),
    "keys are a list": (KEYS, page([jwk_of("rsa", kid=KEY_ID)])),
    "keys are cut": (KEYS, answer("200 OK", b'{"keys": [')),
    "no keys": (KEYS, page({"keys": []})),
    "two keys with one id": (
        KEYS,
        page({"keys": [jwk_of("rsa", kid=KEY_ID), {**jwk_of("rsa", kid=KEY_ID), "e": "Aw"}]}),
    ),
    "member twice": (KEYS, answer("200 OK", b'{"keys": [], "keys": []}')),
    "10,000 keys": (KEYS, page({"keys": [{"kty": "RSA"}] * 10_000})),
    "one key too many": (KEYS, page({"keys": [jwk_of("rsa", kid=KEY_ID)] + [{}] * MAX_KEYS})),
}


def endless(connection: Connection) -> None:
    """Send a document without end."""
    connection.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"keys": [')
    while True:
        connection.send(b'{"kty": "RSA"},' * 1000)


REFUSED_KEYS["keys are endless"] = (KEYS, endless)


@pytest.mark.parametrize(("path", "script"), REFUSED_KEYS.values(), ids=REFUSED_KEYS)
def test_checklist_65_67_keys_that_are_not_usable_verify_nothing_and_nothing_is_asked(
    unasked: Unasked, issuer: Issuer, path: str, script: Script
) -> None:
    issuer.pages[path] = script
    token = issuer.token(ref="refs/heads/main")
    for _ in range(2):
        answered = unasked.call(token)
        expect_problem(answered, 503, "issuer-unavailable")
        expect_retry_after(answered, at_most=30)
    # The second one did not ask again.
    assert issuer.paths == [DISCOVERY, KEYS][: issuer.paths.index(path) + 1]


def test_issuer_that_is_away_is_reported_and_asked_again_later(
    deploy: Deploy, issuer: Issuer
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    deployment = deploy(CALLERS=callers(issuer, {"issuer": away}))
    answered = deployment.call("GET", "/api/token", bearing(issuer.token(iss=away)))
    expect_problem(answered, 503, "issuer-unavailable")
    assert f"cannot read the keys of the issuer {away}" in deployment.running.log()


def test_given_keys_need_no_issuer(deploy: Deploy, issuer: Issuer) -> None:
    cluster = "https://kubernetes.default.svc"
    entry = {"issuer": cluster, "jwks": {"keys": [jwk_of("p256", kid=KEY_ID)]}}
    deployment = deploy(CALLERS=callers(issuer, entry))
    deployment.put("default", fresh())
    expect_token(deployment.call("GET", "/api/token", bearing(issuer.token("p256", iss=cluster))))
    other = deployment.call("GET", "/api/token", bearing(issuer.token("rsa", iss=cluster)))
    expect_problem(other, 401, "api-key-invalid")
    assert issuer.server.connections == 0


def test_checklist_67_refused_tokens_are_limited_like_keys(deploy: Deploy, issuer: Issuer) -> None:
    deployment = deploy(CALLERS=callers(issuer), FAILURE_LIMIT="2")
    deployment.put("default", fresh())
    bad = bearing(issuer.token(aud="https://other.example"))
    statuses = [deployment.call("GET", "/api/token", bad).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    expect_token(deployment.call("GET", "/api/token", bearing(issuer.token())))


def test_token_without_callers_is_an_unknown_key(deploy: Deploy, issuer: Issuer) -> None:
    answered = deploy().call("GET", "/api/token", bearing(issuer.token()))
    assert "unknown" in expect_problem(answered, 401, "api-key-invalid")["detail"]


def test_api_key_in_the_form_of_a_token_remains_a_key(deploy: Deploy, issuer: Issuer) -> None:
    key = issuer.token()
    deployment = deploy(CALLERS=callers(issuer), API_KEY=key)
    deployment.put("default", fresh())
    expect_token(deployment.call("GET", "/api/token", bearing(key)))
    both = deployment.call("GET", "/api/token", bearing(key), ("x-api-key", issuer.token(jti="2")))
    expect_problem(both, 401, "api-key-invalid")
    assert issuer.server.connections == 0


# At the token URL

EXCHANGE = {"grant_type": TOKEN_EXCHANGE, "subject_token_type": SUBJECT_TOKEN_TYPES[0]}


def exchange(deployment: Deployment, **form: str) -> httpx.Response:
    """Send a token request with this form."""
    content = urlencode(form).encode()
    header = ("content-type", "application/x-www-form-urlencoded")
    return deployment.call("POST", TOKEN_URL, header, content=content)


@pytest.mark.parametrize("token_type", SUBJECT_TOKEN_TYPES)
def test_identity_token_is_exchanged_for_an_access_token(
    deploy: Deploy, issuer: Issuer, token_type: str
) -> None:
    deployment, grant = deploy(CALLERS=callers(issuer), API_KEY=None), fresh()
    deployment.put("default", grant)
    form = {**EXCHANGE, "subject_token_type": token_type, "subject_token": issuer.token()}
    members = expect_json(exchange(deployment, **form))
    assert members["access_token"] == grant.tokens.access_token
    assert members["issued_token_type"] == ACCESS_TOKEN_TYPE
    assert "refresh_token" not in members


def test_identity_token_is_a_client_secret(deploy: Deploy, issuer: Issuer) -> None:
    deployment = deploy(CALLERS=callers(issuer))
    deployment.put("default", fresh())
    form = {"grant_type": "client_credentials", "client_secret": issuer.token()}
    assert expect_json(exchange(deployment, **form))["access_token"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"subject_token": ""}, "subject_token is missing", id="no token"),
        pytest.param({"subject_token": "a-key"}, "unknown", id="no JWT"),
        pytest.param({"subject_token_type": ""}, "Unsupported subject_token_type", id="no type"),
        pytest.param({"subject_token_type": ACCESS_TOKEN_TYPE}, "subject_token_type", id="type"),
        pytest.param({"requested_token_type": "a"}, "requested_token_type", id="requested"),
        pytest.param({"actor_token": "a"}, "actor_token is not supported", id="actor"),
        pytest.param({"audience": "elsewhere"}, "", id="ignored"),
    ],
)
def test_exchange_that_cannot_be_is_an_invalid_request(
    deploy: Deploy, issuer: Issuer, change: dict[str, str], says: str
) -> None:
    deployment = deploy(CALLERS=callers(issuer))
    deployment.put("default", fresh())
    answer = exchange(deployment, **EXCHANGE | {"subject_token": issuer.token()} | change)
    if not says:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert says in answer.json()["error_description"]


def test_exchange_of_a_token_that_no_entry_accepts_names_the_claim(
    deploy: Deploy, issuer: Issuer
) -> None:
    deployment = deploy(CALLERS=callers(issuer))
    token = issuer.token(sub="repo:mallory/shop")
    answer = exchange(deployment, **EXCHANGE, subject_token=token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "`sub`" in answer.json()["error_description"]
    assert token not in answer.text
