"""A deployment that is not told enough, or told nonsense: it refuses, and says which variable."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from domain.provider import LifetimeStart
from functions.application import Application
from functions.asgi import ROUTES
from functions.settings.settings import Settings
from tests.functions.conftest import Deploy, environ_for
from tests.functions.deployment import HTML, WITH_API_KEY, Header
from tests.functions.expect import expect_page, expect_problem
from tests.functions.hosts import AsgiTransport
from tests.functions.stores import NO_STORE
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ENDPOINTS = [
    *WITH_API_KEY,
    ("GET", "/api/health"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/callback?code=a&state=b"),
]
# One that is missing, and which are named then.
MISSING = {name: [name] for name in ("CLIENT_ID", "CLIENT_SECRET", "SQLITE_PATH")}
MISSING["API_KEY"] = ["API_KEY", "API_KEYS"]
REQUIRED = [name for names in MISSING.values() for name in names]
# What a value in the environment must never be repeated with.
MARK = "ValueThatIsNotRepeated"

FAULTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "another provider": ({"PROVIDER": MARK}, ["PROVIDER"]),
    "a provider in capitals": ({"PROVIDER": "DIGIKEY"}, ["PROVIDER"]),
    "http": ({"TOKEN_ENDPOINT": f"http://{MARK}.test/token"}, ["TOKEN_ENDPOINT"]),
    "http to a private address": ({"TOKEN_ENDPOINT": "http://10.0.0.1/"}, ["TOKEN_ENDPOINT"]),
    "http to what looks local": (
        {"AUTHORIZATION_ENDPOINT": "http://localhost.evil.test/"},
        ["AUTHORIZATION_ENDPOINT"],
    ),
    "another scheme": ({"TOKEN_ENDPOINT": f"ftp://{MARK}.test"}, ["TOKEN_ENDPOINT"]),
    "a script": ({"AUTHORIZATION_ENDPOINT": "javascript:alert(1)"}, ["AUTHORIZATION_ENDPOINT"]),
    "a file": ({"TOKEN_ENDPOINT": f"file:///{MARK}"}, ["TOKEN_ENDPOINT"]),
    "no scheme": ({"TOKEN_ENDPOINT": f"{MARK}.test/token"}, ["TOKEN_ENDPOINT"]),
    "no host": ({"TOKEN_ENDPOINT": "https:///token"}, ["TOKEN_ENDPOINT"]),
    "a fragment": ({"AUTHORIZATION_ENDPOINT": "https://a.test/#x"}, ["AUTHORIZATION_ENDPOINT"]),
    "an empty fragment": (
        {"AUTHORIZATION_ENDPOINT": "https://a.test/#"},
        ["AUTHORIZATION_ENDPOINT"],
    ),
    "an address with an empty fragment": ({"PUBLIC_URL": "https://a.test/#"}, ["PUBLIC_URL"]),
    "a password": ({"TOKEN_ENDPOINT": f"https://a:{MARK}@a.test/"}, ["TOKEN_ENDPOINT"]),
    "a port that is none": ({"TOKEN_ENDPOINT": "https://a.test:99999/"}, ["TOKEN_ENDPOINT"]),
    "http to revoke": (
        {"REVOCATION_ENDPOINT": f"http://{MARK}.test/revoke"},
        ["REVOCATION_ENDPOINT"],
    ),
    "half an address": ({"TOKEN_ENDPOINT": "https://[::1/"}, ["TOKEN_ENDPOINT"]),
    "an address that is not safe": ({"PUBLIC_URL": f"http://{MARK}.test"}, ["PUBLIC_URL"]),
    "custom without endpoints": (
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": "", "TOKEN_ENDPOINT": ""},
        ["PROVIDER", "AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT", "ISSUER"],
    ),
    "custom with one": (
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": " "},
        ["PROVIDER", "AUTHORIZATION_ENDPOINT", "ISSUER"],
    ),
    "an issuer over http": ({"ISSUER": f"http://{MARK}.test"}, ["ISSUER"]),
    "an issuer's metadata": (
        {"ISSUER": f"https://{MARK}.test/.well-known/openid-configuration"},
        ["ISSUER"],
    ),
    "an issuer with a query": ({"ISSUER": f"https://a.test/?{MARK}"}, ["ISSUER"]),
    "a place for revocation over http": (
        {"REVOCATION_ENDPOINT": f"http://{MARK}.test"},
        ["REVOCATION_ENDPOINT"],
    ),
    "a folder that is not there": ({"SQLITE_PATH": f"/{MARK}/x.sqlite"}, ["SQLITE_PATH"]),
    "a file for a folder": ({"SQLITE_PATH": f"{__file__}/{MARK}"}, ["SQLITE_PATH"]),
    "a callback with a query": ({"PUBLIC_URL": "https://a.test/?a=b"}, ["PUBLIC_URL"]),
    "the redirect URI for an address": (
        {"PUBLIC_URL": "https://a.test/api/callback/"},
        ["PUBLIC_URL"],
    ),
    "a cron secret with a space": ({"CRON_SECRET": f"{MARK} {MARK}"}, ["CRON_SECRET"]),
    "a space in an address": ({"PUBLIC_URL": "https://a .test"}, ["PUBLIC_URL"]),
    "rotation": ({"ROTATION": MARK}, ["ROTATION"]),
    "rotation with half a grace": ({"ROTATION": "always;grace="}, ["ROTATION"]),
    "rotation with a grace in Arabic digits": ({"ROTATION": "always;grace=٣m"}, ["ROTATION"]),
    "rotation without a unit": ({"ROTATION": "always;grace=30"}, ["ROTATION"]),
    "rotation with a negative grace": ({"ROTATION": "always;grace=-1m"}, ["ROTATION"]),
    "rotation with a grace of millennia": ({"ROTATION": "always;grace=999999d"}, ["ROTATION"]),
    "lifetime without a unit": ({"ACCESS_TOKEN_LIFETIME": "30"}, ["ACCESS_TOKEN_LIFETIME"]),
    "lifetime of nothing": ({"REFRESH_TOKEN_LIFETIME": "0d"}, ["REFRESH_TOKEN_LIFETIME"]),
    "lifetime of millennia": ({"REFRESH_TOKEN_LIFETIME": "999999d"}, ["REFRESH_TOKEN_LIFETIME"]),
    "lifetime that never slides": (
        {"REFRESH_TOKEN_LIFETIME": "never;sliding"},
        ["REFRESH_TOKEN_LIFETIME"],
    ),
    "access token that slides": (
        {"ACCESS_TOKEN_LIFETIME": "1h;sliding"},
        ["ACCESS_TOKEN_LIFETIME"],
    ),
    **{
        f"refusal words, {name}": ({"REFUSAL_WORDS": text}, ["REFUSAL_WORDS"])
        for name, text in {
            "no JSON": MARK,
            "a list": f'["{MARK}"]',
            "with another meaning": f'{{"a": "{MARK}"}}',
            "with no meaning": '{"a": ["dead"]}',
            "too deep": '{"a":' * 5_000,
        }.items()
    },
    "plain PKCE": ({"PKCE": "plain"}, ["PKCE"]),
    "PKCE in small letters": ({"PKCE": "s256"}, ["PKCE"]),
    "authorization parameters": ({"AUTHORIZATION_PARAMS": MARK}, ["AUTHORIZATION_PARAMS"]),
    "authorization parameters that are cut short": (
        {"AUTHORIZATION_PARAMS": f"prompt=consent&{MARK}"},
        ["AUTHORIZATION_PARAMS"],
    ),
    "an authorization parameter twice": (
        {"AUTHORIZATION_PARAMS": f"resource={MARK}&resource=b"},
        ["AUTHORIZATION_PARAMS"],
    ),
    "a blank authorization parameter twice": (
        {"AUTHORIZATION_PARAMS": "login_hint=&login_hint=x"},
        ["AUTHORIZATION_PARAMS"],
    ),
    **{
        f"an authorization parameter that is {name}": (
            {"AUTHORIZATION_PARAMS": f"prompt=consent&{name}={MARK}"},
            ["AUTHORIZATION_PARAMS"],
        )
        for name in (
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "response_type",
            "state",
        )
    },
    "scopes in two places": (
        {"AUTHORIZATION_PARAMS": "scope=read", "SCOPE": "read write"},
        ["AUTHORIZATION_PARAMS"],
    ),
    "token parameters": ({"TOKEN_PARAMS": MARK}, ["TOKEN_PARAMS"]),
    "token parameters that are no list": (
        {"TOKEN_PARAMS": f"resource=a&{MARK}"},
        ["TOKEN_PARAMS"],
    ),
    "a token parameter twice": (
        {"TOKEN_PARAMS": f"resource=a&resource=b&audience={MARK}&audience=b"},
        ["TOKEN_PARAMS"],
    ),
    **{
        f"the token request's {name}": (
            {"TOKEN_PARAMS": f"audience=a&{name}={MARK}"},
            ["TOKEN_PARAMS"],
        )
        for name in (
            *("client_id", "client_secret", "client_assertion", "client_assertion_type", "code"),
            *("code_verifier", "grant_type", "redirect_uri", "refresh_token"),
        )
    },
    "a public client without keys": (
        {"TOKEN_ENDPOINT_AUTH_METHOD": "none", "CLIENT_SECRET": "", "ENCRYPTION_KEYS": ""},
        ["CLIENT_SECRET", "ENCRYPTION_KEYS"],
    ),
    "a user agent of two lines": ({"USER_AGENT": f"{MARK}\r\nx: y"}, ["USER_AGENT"]),
    "a user agent that is not ASCII": ({"USER_AGENT": f"é{MARK}"}, ["USER_AGENT"]),
    "client authentication": (
        {"TOKEN_ENDPOINT_AUTH_METHOD": "private_key_jwt"},
        ["TOKEN_ENDPOINT_AUTH_METHOD"],
    ),
    "encryption keys": ({"ENCRYPTION_KEYS": f"{MARK}!"}, ["ENCRYPTION_KEYS"]),
    "encryption keys of 16 bytes": (
        {"ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZg=="},
        ["ENCRYPTION_KEYS"],
    ),
    "encryption keys of which one is bad": (
        {"ENCRYPTION_KEYS": f"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= {MARK}"},
        ["ENCRYPTION_KEYS"],
    ),
    "only a comma": ({"ENCRYPTION_KEYS": ","}, ["ENCRYPTION_KEYS"]),
    "a cron secret that is short": ({"CRON_SECRET": MARK[:23]}, ["CRON_SECRET"]),
    "a cron secret of the example": ({"CRON_SECRET": "…"}, ["CRON_SECRET"]),
    "a key that is short": ({"API_KEY": "Ab3-" * 5 + "x9z"}, ["API_KEY"]),
    "a key of one character": ({"API_KEY": "x" * 40}, ["API_KEY"]),
    "a key that repeats itself": ({"API_KEY": "hunter2-" * 4}, ["API_KEY"]),
    "a key of five characters": ({"API_KEY": "abcdebcdeacdeabdeabceabcd"}, ["API_KEY"]),
    "a key to be changed": ({"API_KEY": f"Change_Me-{MARK}"}, ["API_KEY"]),
    "a key that is a placeholder": (
        {"API_KEY": "<your api key goes here>".replace(" ", "-")},
        ["API_KEY"],
    ),
    "a key that counts": ({"API_KEY": "0123456789abcdef01234567"}, ["API_KEY"]),
    "the key of the example": ({"API_KEY": "…"}, ["API_KEY"]),
    "the client of the example": (
        {"CLIENT_ID": "…", "CLIENT_SECRET": "..."},
        ["CLIENT_ID", "CLIENT_SECRET"],
    ),
    "keys that are no JSON": ({"API_KEYS": f"{MARK}: {{}}"}, ["API_KEYS"]),
    "keys that are none": ({"API_KEYS": "[]"}, ["API_KEYS"]),
    "keys that are an object": ({"API_KEYS": f'{{"{MARK}": "{"0" * 64}"}}'}, ["API_KEYS"]),
    "keys that are nested without end": ({"API_KEYS": "[" * 100_000}, ["API_KEYS"]),
    "keys that are one number": ({"API_KEYS": "9" * 10_000}, ["API_KEYS"]),
    "a limit in words": ({"FAILURE_LIMIT": "none"}, ["FAILURE_LIMIT"]),
    "a negative limit": ({"FAILURE_LIMIT": "-1"}, ["FAILURE_LIMIT"]),
    "a limit of no end": ({"FAILURE_LIMIT": "9" * 5000}, ["FAILURE_LIMIT"]),
    "a key with a space": ({"API_KEY": f"{MARK} {MARK}"}, ["API_KEY"]),
    "a key that is not ASCII": ({"API_KEY": f"ключ{MARK}"}, ["API_KEY"]),
    "a key with a line feed": ({"API_KEY": f"{MARK}\nx"}, ["API_KEY"]),
    "a secret that is no text": ({"CLIENT_SECRET": f"{MARK}\udcff"}, ["CLIENT_SECRET"]),
    "an id that is no text": ({"CLIENT_ID": f"{MARK}\udcff"}, ["CLIENT_ID"]),
    "a state that is no text": ({"OAUTH_STATE": f"{MARK}\udcff"}, ["OAUTH_STATE"]),
    "a state of one character": ({"OAUTH_STATE": "1"}, ["OAUTH_STATE"]),
    "a state that is a word": ({"OAUTH_STATE": "state"}, ["OAUTH_STATE"]),
    "a state that repeats itself": ({"OAUTH_STATE": "hunter2-" * 4}, ["OAUTH_STATE"]),
    "a state to be changed": ({"OAUTH_STATE": f"Change_Me-{MARK}"}, ["OAUTH_STATE"]),
    "several": (
        {
            "CLIENT_ID": "",
            "API_KEY": f"{MARK} {MARK}",
            "PROVIDER": MARK,
            "PKCE": MARK,
            "ROTATION": MARK,
            "TOKEN_ENDPOINT": f"http://{MARK}.test",
            "AUTHORIZATION_PARAMS": MARK,
            "TOKEN_ENDPOINT_AUTH_METHOD": MARK,
            "PUBLIC_URL": MARK,
            "ENCRYPTION_KEYS": f"{MARK}!",
        },
        [
            "CLIENT_ID",
            "API_KEY",
            "PROVIDER",
            "PKCE",
            "ROTATION",
            "TOKEN_ENDPOINT",
            "AUTHORIZATION_PARAMS",
            "TOKEN_ENDPOINT_AUTH_METHOD",
            "PUBLIC_URL",
            "ENCRYPTION_KEYS",
        ],
    ),
}
VARIABLES = sorted({name for _, named in FAULTS.values() for name in named} | set(REQUIRED))


def answers_of(
    environ: Mapping[str, str],
    *headers: Header,
    endpoints: list[tuple[str, str]] = ENDPOINTS,
) -> dict[str, httpx.Response]:
    """What the endpoints of the application answer in this environment, every one unless told."""

    async def ask() -> dict[str, httpx.Response]:
        transport = AsgiTransport(Application(ROUTES, partial(Settings.from_environ, environ)))
        await transport.start()
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
            answers = {
                path: await client.request(
                    method, path, headers=[(str(name), str(value)) for name, value in headers]
                )
                for method, path in endpoints
            }
        await transport.stop()
        return answers

    return asyncio.run(ask())


def named_in(detail: str) -> list[str]:
    words = set(
        detail.replace(":", " ").replace(",", " ").replace(";", " ").removesuffix(".").split()
    )
    return [name for name in VARIABLES if name in words]


@pytest.fixture
def environ(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> dict[str, str]:
    """An environment that is in order."""
    return environ_for(running_digikey, tmp_path)


@pytest.mark.parametrize("value", [None, "", "  \t"], ids=["unset", "empty", "blank"])
@pytest.mark.parametrize("name", MISSING)
def test_missing_variable_closes_every_endpoint_and_is_named(
    environ: dict[str, str], name: str, value: str | None
) -> None:
    key = environ["API_KEY"]
    if value is None:
        del environ[name]
    else:
        environ[name] = value
    keys: list[list[Header]] = [
        [],
        [("x-api-key", key)],
        [("x-api-key", "")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer")],
        [("x-api-key", value or "None")],
    ]
    for headers in keys:
        for answer in answers_of(environ, *headers).values():
            members = expect_problem(answer, 500, "not-configured")
            assert named_in(members["detail"]) == MISSING[name]
    assert not Path(environ.get("SQLITE_PATH") or "nothing").exists()


def test_everything_that_is_missing_is_named_at_once() -> None:
    for answer in answers_of({}).values():
        members = expect_problem(answer, 500, "not-configured")
        assert named_in(members["detail"]) == sorted(REQUIRED)


@pytest.mark.parametrize(("changes", "named"), FAULTS.values(), ids=FAULTS)
def test_every_fault_is_named_and_no_value_repeated(
    environ: dict[str, str], changes: dict[str, str], named: list[str]
) -> None:
    for answer in answers_of(environ | changes, ("x-api-key", environ["API_KEY"])).values():
        members = expect_problem(answer, 500, "not-configured")
        assert named_in(members["detail"]) == sorted(named)
        assert MARK not in answer.text
        for secret in ("CLIENT_SECRET", "API_KEY"):
            assert environ[secret] not in answer.text


def test_page_says_it_too(environ: dict[str, str]) -> None:
    del environ["CLIENT_SECRET"]
    answer = answers_of(environ, HTML)["/api/callback?code=a&state=b"]
    assert "CLIENT_SECRET is not set" in expect_page(answer, 500)


def test_paths_and_methods_are_told_apart_before_the_settings_are_read() -> None:
    async def ask() -> list[int]:
        transport = AsgiTransport(Application(ROUTES, partial(Settings.from_environ, {})))
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
            answers = [
                await client.get("/nothing"),
                await client.delete("/api/token"),
                await client.options("/api/token"),
            ]
        await transport.start()
        await transport.stop()
        return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [404, 405, 500]


def test_environment_is_in_order(environ: dict[str, str]) -> None:
    # Without this, the tests above would prove nothing.
    assert answers_of(environ)["/api/health"].status_code == 200
    settings = Settings.from_environ(environ)
    for secret in ("CLIENT_SECRET", "API_KEY"):
        assert environ[secret] not in repr(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"PROVIDER": ""},
        {"PROVIDER": "digikey-sandbox"},
        {"TOKEN_ENDPOINT": "http://localhost:1/token"},
        {"TOKEN_ENDPOINT": "http://[::1]:1/token"},
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": "", "ISSUER": "https://a.test/b/"},
        {"ROTATION": "none"},
        {"ACCESS_TOKEN_LIFETIME": "never"},
        {"REFRESH_TOKEN_LIFETIME": "7d;from-login"},
        {"ROTATION": "optional;grace=2h"},
        {"PKCE": "S256"},
        {"AUTHORIZATION_PARAMS": "prompt=consent&access_type=offline"},
        {"AUTHORIZATION_PARAMS": "login_hint="},
        {"TOKEN_PARAMS": "resource=https%3A%2F%2Fa.test&resource=b&audience=c&expiring="},
        {"USER_AGENT": "inventory/2.1 (by somebody@a.test)"},
        {"ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="},
        {
            "TOKEN_ENDPOINT_AUTH_METHOD": "none",
            "CLIENT_SECRET": "",
            "ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        },
        {"TOKEN_ENDPOINT_AUTH_METHOD": "none"},
        {"PUBLIC_URL": "https://a.test/"},
        {"OAUTH_STATE": ""},
        {"OAUTH_STATE": "5b1f0c9e7d3a4826b1f0c9e7d3a4826e"},
        {"OAUTH_STATE": "статический: 5b1f 0c9e 7d3a 4826"},
    ],
    ids=str,
)
def test_settings_that_are_allowed(environ: dict[str, str], changes: dict[str, str]) -> None:
    assert answers_of(environ | changes)["/api/health"].status_code == 200


def test_server_without_settings_refuses(deploy: Deploy) -> None:
    deployment = deploy(CLIENT_ID=None, CLIENT_SECRET="", API_KEY=" ", **NO_STORE)
    for method, path in ENDPOINTS:
        for key in ("", "None", "anything"):
            answer = deployment.call(method, path, ("x-api-key", key))
            members = expect_problem(answer, 500, "not-configured")
            assert named_in(members["detail"]) == sorted(REQUIRED)


def test_store_that_cannot_be_opened_is_unavailable(
    environ: dict[str, str], tmp_path: Path
) -> None:
    key = ("x-api-key", environ["API_KEY"])
    link = tmp_path / "leads-nowhere.sqlite"
    link.symlink_to(tmp_path / "missing" / "grants.sqlite")
    answers = answers_of({**environ, "SQLITE_PATH": str(link)}, key)
    for path in ("/api/health", "/api/openapi.json"):
        assert answers.pop(path).status_code == 200
    # A state that was not given out here is known as such without the store.
    expect_problem(answers.pop("/api/callback?code=a&state=b"), 400, "invalid-state")
    for answer in answers.values():
        expect_problem(answer, 503, "store-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert str(tmp_path) not in answer.text


def test_store_that_is_no_database_is_unavailable(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "not.sqlite"
    path.write_text("this is not a database " * 100)
    answers = answers_of({**environ, "SQLITE_PATH": str(path)}, ("x-api-key", environ["API_KEY"]))
    expect_problem(answers["/api/token"], 503, "store-unavailable")
    assert path.read_text().startswith("this is not a database")


def test_settings_that_are_missing_are_logged_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers_of({})
    complaints = [record for record in caplog.records if "not configured" in record.getMessage()]
    # Once, before any request.
    assert len(complaints) == 1
    assert named_in(complaints[0].getMessage()) == sorted(REQUIRED)
    caplog.clear()


def test_settings_that_are_usable_are_not_complained_of(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answers_of(environ)
    assert "not configured" not in caplog.text


@pytest.mark.parametrize(
    ("text", "lifetime", "counted"),
    [
        ("90d", timedelta(days=90), LifetimeStart.ISSUE),
        ("7d;sliding", timedelta(days=7), LifetimeStart.USE),
        ("168h;from-login", timedelta(days=7), LifetimeStart.LOGIN),
        ("never", None, LifetimeStart.ISSUE),
    ],
)
def test_lifetimes_are_declared_over_those_of_the_preset(
    environ: dict[str, str], text: str, lifetime: timedelta | None, counted: LifetimeStart
) -> None:
    told = {"ACCESS_TOKEN_LIFETIME": "12h", "REFRESH_TOKEN_LIFETIME": text}
    provider = Settings.from_environ(environ | told).provider
    assert provider.access_token_lifetime == timedelta(hours=12)
    assert (provider.refresh_token_lifetime, provider.refresh_token_counted) == (lifetime, counted)
