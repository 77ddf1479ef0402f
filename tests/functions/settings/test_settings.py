"""Invalid settings: refused at the start, by the names of their variables and without values."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from domain.provider import LifetimeStart, Rotation, RotationKind
from functions.application import Application
from functions.asgi import ROUTES
from functions.settings.settings import Settings, SettingsError
from tests.functions.conftest import Deploy, environ_for
from tests.functions.deployment import API_KEY, HTML, WITH_API_KEY, Header
from tests.functions.expect import expect_page, expect_problem
from tests.functions.hosts import AsgiTransport, on_each_host
from tests.functions.stores import NO_STORE
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ENDPOINTS = [
    # Without a body, an adoption is refused before the store is read.
    *(endpoint for endpoint in WITH_API_KEY if endpoint != ("POST", "/api/adopt")),
    ("GET", "/api/health"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/callback?code=a&state=b"),
]
# A missing variable, and the names in the message about it.
MISSING = {name: [name] for name in ("CLIENT_ID", "CLIENT_SECRET", "SQLITE_PATH")}
MISSING["API_KEY"] = ["API_KEY", "API_KEYS"]
REQUIRED = sorted(name for names in MISSING.values() for name in names)
# Part of the invalid values, which no message may repeat.
MARK = "ValueThatIsNotRepeated"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
REPETITIVE = "hunter2-" * 4

MEMBER_NAMES = [
    *(f'["{MARK}"]', f"{MARK};id", f"{MARK}=1", ",", MARK * 5, "имя"),
    *("id,access_token", "x.refreshToken", "id_token", "code", "state", "client_secret"),
    " ".join(f"{MARK}{number}" for number in range(17)),
]

# A variable, and invalid values: the message names no other variable.
FAULTS: Mapping[str, Sequence[str]] = {
    "PROVIDER": [MARK, "DIGIKEY"],
    "GRANT": [MARK, "password", "Client_Credentials"],
    "CLIENT_ID": ["…", f"{MARK}\udcff"],
    "CLIENT_SECRET": ["...", f"{MARK}\udcff"],
    "AUTHORIZATION_ENDPOINT": [
        *("http://localhost.evil.test/", "javascript:alert(1)"),
        *("https://a.test/#x", "https://a.test/#"),
    ],
    "TOKEN_ENDPOINT": [
        *(f"http://{MARK}.test/token", "http://10.0.0.1/", f"ftp://{MARK}.test"),
        *(f"file:///{MARK}", f"{MARK}.test/token", "https:///token"),
        *(f"https://a:{MARK}@a.test/", "https://a.test:99999/", "https://[::1/"),
    ],
    "REVOCATION_ENDPOINT": [f"http://{MARK}.test/revoke"],
    "ISSUER": [
        f"http://{MARK}.test",
        f"https://{MARK}.test/.well-known/openid-configuration",
        f"https://a.test/?{MARK}",
    ],
    "PUBLIC_URL": [
        *(f"http://{MARK}.test", "https://a.test/#", "https://a.test/?a=b"),
        *("https://a.test/api/callback/", "https://a .test"),
    ],
    "SQLITE_PATH": [f"/{MARK}/x.sqlite", f"{__file__}/{MARK}"],
    "ROTATION": [
        *(MARK, "always;grace=", "always;grace=٣m", "always;grace=30"),
        *("always;grace=-1m", "always;grace=999999d", "always;grace=until-used:"),
        *("always;grace=until-used:0s", "always;grace=until-used:999d", "always;until-used"),
    ],
    "LOGIN_LIFETIME": [MARK, "0d", "4000d", "365d;from-login", "never;sliding"],
    "REFRESH_ONLY_WITHIN": [MARK, "30", "-1s", "never", "999999d", "30s;sliding"],
    "ACCESS_TOKEN_LIFETIME": ["30", "1h;sliding"],
    "REFRESH_TOKEN_LIFETIME": ["0d", "999999d", "never;sliding"],
    "REFUSAL_WORDS": [
        *(MARK, f'["{MARK}"]', f'{{"a":"{MARK}"}}', '{"a":["dead"]}', '{"a":' * 5_000),
    ],
    "RESPONSE_MEMBERS": MEMBER_NAMES,
    "CALLBACK_MEMBERS": MEMBER_NAMES,
    "PKCE": ["plain", "s256"],
    "SCOPE": ['read "write"', "read\\write", "чтение"],
    "AUTHORIZATION_PARAMS": [
        *(MARK, f"prompt=consent&{MARK}", f"prompt={MARK}&prompt=b"),
        *("login_hint=&login_hint=x", "?access_type=offline", '"access_type=offline'),
        "a=1&&?b=2",
        *(
            f"prompt=consent&{name}={MARK}"
            for name in (
                *("client_id", "code_challenge", "code_challenge_method", "redirect_uri"),
                *("response_type", "state"),
            )
        ),
    ],
    "TOKEN_PARAMS": [
        MARK,
        f"resource=a&{MARK}",
        f"resource=a&resource=b&audience={MARK}&audience=b",
        *(
            f"audience=a&{name}={MARK}"
            for name in (
                *("client_id", "client_secret", "client_assertion", "client_assertion_type"),
                *("code", "code_verifier", "grant_type", "redirect_uri", "refresh_token"),
            )
        ),
    ],
    "REFRESH_ENDPOINT": [f"http://{MARK}.test/refresh", "refresh"],
    "TOKEN_REQUEST_FORMAT": ["xml", "JSON"],
    "CODE_PARAMS": [MARK, f"redirect_uri={MARK}", "a=1&a=2"],
    "REFRESH_PARAMS": [MARK, f"client_id={MARK}", "a=1&a=2"],
    "TOKEN_HEADERS": [
        *(MARK, "a b=1", "=1", "x=1&X=2", f"x=1%0d%0ay: {MARK}", f"x=é{MARK}", "x=%201"),
        *(
            f"{name}={MARK}"
            for name in ("Authorization", "content-type", "Content-Length", "HOST", "user-agent")
        ),
    ],
    "AUTHORIZATION_NAMES": [
        *(MARK, f"{MARK}=a", "state=s", "code=c", "client_id=a b", "client_id=scope"),
        *("client_id=a&client_id=b", "code_challenge=", "code_challenge_method="),
    ],
    "TOKEN_REQUEST_NAMES": [
        *(MARK, f"{MARK}=a", "client_id=%0d", "code=redirect_uri", "code=x&redirect_uri=x"),
        *(f"{name}=" for name in ("code", "refresh_token", "code_verifier", "client_secret")),
        *("token=", "client_id=a&client_id=b"),
    ],
    "RESPONSE_NAMES": [MARK, f"{MARK}=a", "access_token=", "scope=a b", "scope=a&scope=b"],
    "CALLBACK_CODE": ["a b", "state", "error", "iss", f"{MARK}?"],
    "TOKENS_AT": ["a..b", ".a", "a b", "a.b.c.d.e", f"{MARK}/"],
    "REVOCATION_STYLE": ["query", "RFC7009"],
    "ENDPOINT_VALUES": [
        *(MARK, f"tenant={MARK}", "tenant=", "tenant=a&tenant=b", f"client_id={MARK}"),
    ],
    "REDIRECT_URI": ["a b", f"http://{MARK}.test/", f"javascript:{MARK}", f"é{MARK}"],
    "TOKEN_ENDPOINT_AUTH_METHOD": ["tls_client_auth", "Private_Key_JWT"],
    "USER_AGENT": [f"{MARK}\r\nx: y", f"é{MARK}"],
    "ENCRYPTION_KEYS": [f"{MARK}!", "MDEyMzQ1Njc4OWFiY2RlZg==", f"{KEY} {MARK}", ","],
    "CRON_SECRET": [f"{MARK} {MARK}", MARK[:23], "…"],
    "API_KEY": [
        *("Ab3-" * 5 + "x9z", "x" * 40, REPETITIVE, "abcdebcdeacdeabdeabceabcd"),
        *(f"Change_Me-{MARK}", "<your-api-key-goes-here>", "0123456789abcdef01234567", "…"),
        *(f"{MARK} {MARK}", f"ключ{MARK}", f"{MARK}\nx"),
    ],
    "API_KEYS": [
        *(f"{MARK}: {{}}", "[]", f'{{"{MARK}": "{"0" * 64}"}}'),
        *("[" * 100_000, "9" * 10_000),
    ],
    "FAILURE_LIMIT": ["none", "-1", "9" * 5000],
    "OAUTH_STATE": [f"{MARK}\udcff", "1", "state", REPETITIVE, f"Change_Me-{MARK}"],
}
# Variables, and the names of all that the message is about.
TOGETHER: Sequence[tuple[dict[str, str], list[str]]] = [
    (
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": "", "TOKEN_ENDPOINT": ""},
        ["PROVIDER", "AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT", "ISSUER"],
    ),
    (
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": " "},
        ["PROVIDER", "AUTHORIZATION_ENDPOINT", "ISSUER"],
    ),
    (
        {"AUTHORIZATION_PARAMS": "scope=read", "SCOPE": "read write"},
        ["AUTHORIZATION_PARAMS", "SCOPE"],
    ),
    (
        {
            "TOKEN_ENDPOINT_AUTH_METHOD": "none",
            "PKCE": "S256",
            "CLIENT_SECRET": "",
            "ENCRYPTION_KEYS": "",
        },
        ["CLIENT_SECRET", "ENCRYPTION_KEYS"],
    ),
    ({"TOKEN_ENDPOINT": "https://{tenant}.a.test/"}, ["TOKEN_ENDPOINT", "ENDPOINT_VALUES"]),
    ({"ISSUER": "https://a.test/{tenant}"}, ["ISSUER", "ENDPOINT_VALUES"]),
    ({"REFRESH_ENDPOINT": "https://a.test/{tenant}"}, ["REFRESH_ENDPOINT", "ENDPOINT_VALUES"]),
    (
        {"TOKEN_ENDPOINT": "https://{t}.a.test/", "ENDPOINT_VALUES": f"t={MARK}/"},
        ["ENDPOINT_VALUES"],
    ),
    (
        {"TOKEN_ENDPOINT": "https://{t}.a.test/", "ENDPOINT_VALUES": f"t=a&{MARK}=b"},
        ["ENDPOINT_VALUES"],
    ),
    ({"TOKEN_PARAMS": "a=1", "CODE_PARAMS": "a=2"}, ["CODE_PARAMS"]),
    ({"TOKEN_PARAMS": "a=1", "REFRESH_PARAMS": "b=1&a=2"}, ["REFRESH_PARAMS"]),
    (
        {"AUTHORIZATION_NAMES": "client_id=key", "AUTHORIZATION_PARAMS": "key=1"},
        ["AUTHORIZATION_PARAMS"],
    ),
    ({"TOKEN_REQUEST_NAMES": "client_id=key", "TOKEN_PARAMS": "key=1"}, ["TOKEN_PARAMS"]),
    ({"TOKEN_REQUEST_NAMES": "client_id=key", "CODE_PARAMS": "key=1"}, ["CODE_PARAMS"]),
    (
        {
            "GRANT": "client_credentials",
            "TOKEN_ENDPOINT_AUTH_METHOD": "none",
            "ENCRYPTION_KEYS": KEY,
        },
        ["GRANT", "PKCE", "TOKEN_ENDPOINT_AUTH_METHOD"],
    ),
    (
        {
            "GRANT": "client_credentials",
            "PROVIDER": "custom",
            "AUTHORIZATION_ENDPOINT": "",
            "TOKEN_ENDPOINT": "",
        },
        ["PROVIDER", "TOKEN_ENDPOINT", "ISSUER"],
    ),
    # A fault of each part that reads variables.
    (
        several := {
            "CLIENT_ID": "",
            "API_KEY": f"{MARK} {MARK}",
            "PUBLIC_URL": MARK,
            "TOKEN_ENDPOINT": f"http://{MARK}.test",
            "ENCRYPTION_KEYS": f"{MARK}!",
            **dict.fromkeys(("PROVIDER", "PKCE", "ROTATION", "AUTHORIZATION_PARAMS"), MARK),
            "TOKEN_ENDPOINT_AUTH_METHOD": MARK,
        },
        list(several),
    ),
]
SEVERAL = TOGETHER[-1]
VARIABLES = sorted({*FAULTS, *REQUIRED})


def answers_of(
    environ: Mapping[str, str],
    *headers: Header,
    endpoints: list[tuple[str, str]] = ENDPOINTS,
) -> dict[str, httpx.Response]:
    """Return the answer of each endpoint of the application in this environment."""

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


def faults_of(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ(environ)
    return raised.value.faults


def named_in(*faults: str) -> list[str]:
    words = " ".join(faults)
    for mark in ":,;":
        words = words.replace(mark, " ")
    return [name for name in VARIABLES if name in words.removesuffix(".").split()]


@pytest.fixture
def environ(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> dict[str, str]:
    """A valid environment."""
    return environ_for(running_digikey, tmp_path)


def expect_not_configured(answer: httpx.Response) -> str:
    return str(expect_problem(answer, 500, "not-configured")["detail"])


@pytest.mark.parametrize("value", [None, "", "  \t"], ids=["unset", "empty", "blank"])
@pytest.mark.parametrize("name", MISSING)
def test_missing_variable_is_named(environ: dict[str, str], name: str, value: str | None) -> None:
    del environ[name]
    assert named_in(*faults_of(environ | ({} if value is None else {name: value}))) == MISSING[name]


@pytest.mark.parametrize("key", [API_KEY, "", "None", "Bearer ", "Bearer"])
def test_missing_api_key_closes_every_endpoint(environ: dict[str, str], key: str) -> None:
    del environ["API_KEY"]
    name = "authorization" if key.startswith("Bearer") else "x-api-key"
    for answer in answers_of(environ, (name, key)).values():
        assert named_in(expect_not_configured(answer)) == MISSING["API_KEY"]
    assert not Path(environ["SQLITE_PATH"]).exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *(
            pytest.param({name: value}, [name], id=f"{name}={ascii(value)[1:-1]:.40}")
            for name, values in FAULTS.items()
            for value in values
        ),
        *(pytest.param(changes, named, id=",".join(changes)) for changes, named in TOGETHER),
    ],
)
def test_every_fault_is_named_and_no_value_repeated(
    environ: dict[str, str], changes: dict[str, str], named: list[str]
) -> None:
    faults = faults_of(environ | changes)
    assert named_in(*faults) == sorted(named)
    for text in (MARK, environ["CLIENT_SECRET"], environ["API_KEY"]):
        assert text not in "".join(faults)


def test_all_faults_are_in_every_answer_and_in_the_log_at_the_start(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    changes, named = SEVERAL
    for answer in answers_of(environ | changes, ("x-api-key", API_KEY)).values():
        assert named_in(expect_not_configured(answer)) == sorted(named)
        assert MARK not in answer.text
    page = answers_of(environ | changes, HTML)["/api/callback?code=a&state=b"]
    assert "CLIENT_ID is not set" in expect_page(page, 500)
    complaints = [record for record in caplog.records if "not configured" in record.getMessage()]
    # Once for each application, before any request.
    assert len(complaints) == 2
    assert named_in(complaints[0].getMessage()) == sorted(named)
    caplog.clear()


def test_paths_and_methods_are_distinguished_before_the_settings_are_read() -> None:
    calls = [("GET", "/nothing"), ("DELETE", "/api/token")]
    answers = answers_of({}, endpoints=calls)
    assert [answer.status_code for answer in answers.values()] == [404, 405]
    assert answers_of({}, endpoints=[("OPTIONS", "/api/token")])["/api/token"].status_code == 500


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"PROVIDER": ""},
        {"PROVIDER": "digikey-sandbox"},
        {"TOKEN_ENDPOINT": "http://localhost:1/token"},
        {"TOKEN_ENDPOINT": "http://[::1]:1/token"},
        {"PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": "", "ISSUER": "https://a.test/b/"},
        {"ROTATION": "none"},
        {"GRANT": "authorization_code"},
        {"GRANT": "client_credentials", "PUBLIC_URL": ""},
        {"GRANT": "client_credentials", "PROVIDER": "custom", "AUTHORIZATION_ENDPOINT": ""},
        {"ACCESS_TOKEN_LIFETIME": "never"},
        {"REFRESH_TOKEN_LIFETIME": "7d;from-login"},
        {"ROTATION": "optional;grace=2h"},
        {"RESPONSE_MEMBERS": "instance_url, authed_user.id\nid id"},
        {"CALLBACK_MEMBERS": " ".join(f"accounts-server{number}" for number in range(16))},
        {"ROTATION": "always;grace=until-used:30d;ends-access-token"},
        {"LOGIN_LIFETIME": "365d"},
        {"REFRESH_ONLY_WITHIN": "30s"},
        {"PKCE": "S256"},
        {"AUTHORIZATION_PARAMS": "prompt=consent&access_type=offline"},
        {"AUTHORIZATION_PARAMS": "login_hint="},
        {"AUTHORIZATION_PARAMS": "resource=https%3A%2F%2Fa.test&resource=https%3A%2F%2Fb.test"},
        {"TOKEN_PARAMS": "resource=https%3A%2F%2Fa.test&resource=b&audience=c&expiring="},
        {"USER_AGENT": "inventory/2.1 (by somebody@a.test)"},
        {"AUTHORIZATION_NAMES": "response_type=", "AUTHORIZATION_PARAMS": "response_type=x"},
        {"TOKEN_REQUEST_NAMES": "grant_type=", "CODE_PARAMS": "grant_type=x&resource=a&resource=b"},
        {"TOKEN_REQUEST_NAMES": "token=refresh_token&token_type_hint="},
        {"TOKEN_PARAMS": "resource=a", "REFRESH_PARAMS": "resource=b"},
        {"REFRESH_PARAMS": "redirect_uri=https%3A%2F%2Fa.test%2F"},
        {"TOKEN_HEADERS": "Notion-Version=2022-06-28&accept=application%2Fvnd.x%2Bjson"},
        {"TOKEN_ENDPOINT": "https://a.test/{client_id}/token"},
        {"TOKEN_ENDPOINT": 'https://a.test/{"x"}'},
        {"REDIRECT_URI": "Acme-AcmeInc-App-abcde"},
        {"REDIRECT_URI": "https://relay.test/callback"},
        {"CALLBACK_CODE": "spapi_oauth_code"},
        {"TOKENS_AT": "data.tokens"},
        {"ENCRYPTION_KEYS": KEY},
        {
            "TOKEN_ENDPOINT_AUTH_METHOD": "none",
            "PKCE": "S256",
            "CLIENT_SECRET": "",
            "ENCRYPTION_KEYS": KEY,
        },
        {"TOKEN_ENDPOINT_AUTH_METHOD": "none", "PKCE": "S256"},
        {"PUBLIC_URL": "https://a.test/"},
        {"OAUTH_STATE": ""},
        {"OAUTH_STATE": "5b1f0c9e7d3a4826b1f0c9e7d3a4826e"},
        {"OAUTH_STATE": "статический: 5b1f 0c9e 7d3a 4826"},
    ],
    ids=str,
)
def test_valid_settings_are_accepted_and_show_no_secret(
    environ: dict[str, str], changes: dict[str, str]
) -> None:
    settings = Settings.from_environ(environ | changes)
    for secret in ("CLIENT_SECRET", "API_KEY"):
        assert environ[secret] not in repr(settings)


def test_valid_settings_serve_and_log_no_complaint(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert answers_of(environ)["/api/health"].status_code == 200
    assert "not configured" not in caplog.text


@on_each_host
def test_server_without_settings_refuses(deploy: Deploy) -> None:
    deployment = deploy(CLIENT_ID=None, CLIENT_SECRET="", API_KEY=" ", **NO_STORE)
    for method, path in ENDPOINTS:
        for key in ("", "None", "anything"):
            answer = deployment.call(method, path, ("x-api-key", key))
            assert named_in(expect_not_configured(answer)) == REQUIRED


def test_store_that_cannot_be_opened_is_unavailable(
    environ: dict[str, str], tmp_path: Path
) -> None:
    link = tmp_path / "leads-nowhere.sqlite"
    link.symlink_to(tmp_path / "missing" / "grants.sqlite")
    answers = answers_of({**environ, "SQLITE_PATH": str(link)}, ("x-api-key", API_KEY))
    for path in ("/api/health", "/api/openapi.json"):
        assert answers.pop(path).status_code == 200
    # The store is not needed to recognise the state of another deployment.
    expect_problem(answers.pop("/api/callback?code=a&state=b"), 400, "invalid-state")
    for answer in answers.values():
        expect_problem(answer, 503, "store-unavailable")
        assert answer.json()["detail"] == "The store is unavailable. Retry in 2 s."
        assert int(answer.headers["retry-after"]) >= 1
        assert str(tmp_path) not in answer.text


def test_store_that_is_not_a_database_is_reported_as_damaged(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "not.sqlite"
    path.write_text("this is not a database " * 100)
    answers = answers_of({**environ, "SQLITE_PATH": str(path)}, ("x-api-key", API_KEY))
    problem = expect_problem(answers["/api/token"], 503, "store-unavailable")
    assert problem["detail"].startswith("The store's data is damaged. Move the file away")
    assert answers["/api/token"].headers["retry-after"] == "2"
    assert path.read_text().startswith("this is not a database")


@pytest.mark.parametrize(
    ("text", "lifetime", "counted"),
    [
        ("90d", timedelta(days=90), LifetimeStart.ISSUE),
        ("7d;sliding", timedelta(days=7), LifetimeStart.USE),
        ("168h;from-login", timedelta(days=7), LifetimeStart.LOGIN),
        ("never", None, LifetimeStart.ISSUE),
    ],
)
def test_declared_lifetimes_replace_those_of_the_preset(
    environ: dict[str, str], text: str, lifetime: timedelta | None, counted: LifetimeStart
) -> None:
    declared = {"ACCESS_TOKEN_LIFETIME": "12h", "REFRESH_TOKEN_LIFETIME": text}
    provider = Settings.from_environ(environ | declared).clients.get(None).provider
    assert provider.access_token_lifetime == timedelta(hours=12)
    assert (provider.refresh_token_lifetime, provider.refresh_token_counted) == (lifetime, counted)


@pytest.mark.parametrize(
    ("text", "grace", "until_used", "ends"),
    [
        ("always", timedelta(0), False, False),
        ("always;grace=30m", timedelta(minutes=30), False, False),
        ("always;grace=until-used", timedelta(hours=1), True, False),
        ("always;grace=until-used:30d", timedelta(days=30), True, False),
        ("always;grace=until-used;ends-access-token", timedelta(hours=1), True, True),
    ],
)
def test_a_grace_may_last_until_use(
    environ: dict[str, str], text: str, grace: timedelta, *, until_used: bool, ends: bool
) -> None:
    provider = Settings.from_environ(environ | {"ROTATION": text}).clients.get(None).provider
    assert provider.rotation == Rotation(
        kind=RotationKind.ALWAYS, grace=grace, until_used=until_used
    )
    assert provider.refresh_ends_access_token is ends


@pytest.mark.parametrize(
    ("variable", "text", "member", "duration"),
    [
        ("LOGIN_LIFETIME", "365d", "login_lifetime", timedelta(days=365)),
        ("LOGIN_LIFETIME", "never", "login_lifetime", None),
        ("REFRESH_ONLY_WITHIN", "30s", "refresh_only_within", timedelta(seconds=30)),
        ("REFRESH_ONLY_WITHIN", "0s", "refresh_only_within", timedelta(0)),
    ],
)
def test_limits_of_a_login_and_of_an_early_refresh(
    environ: dict[str, str], variable: str, text: str, member: str, duration: timedelta | None
) -> None:
    provider = Settings.from_environ(environ | {variable: text}).clients.get(None).provider
    assert getattr(provider, member) == duration


# Values that were copied with characters around them.

COPIED = {
    "API_KEY": API_KEY,
    "CRON_SECRET": "f3a1" + API_KEY[::-1],
    "ENCRYPTION_KEYS": KEY,
    "CLIENT_ID": "an-id",
    "CLIENT_SECRET": "a-secret",
    "SCOPE": "read write",
    "AUTHORIZATION_PARAMS": "access_type=offline&prompt=consent",
    "PUBLIC_URL": "https://keeper.test",
    "TOKEN_ENDPOINT": "https://provider.test/token",
}
FORMS = {
    "in quotes": '"{}"',
    "in single quotes": "'{}'",
    "in quotes of a text processor": "“{}”",
    "after a byte order mark": "\ufeff{}",
    "with a zero-width space": "{}\u200bx",
    "with a no-break space": "a\u00a0{}",
    "with a direction": "{}\u202e",
    "with a control character": "{}\x07",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", COPIED)
def test_copied_characters_are_refused_by_the_variable(
    environ: dict[str, str], name: str, form: str
) -> None:
    faults = faults_of(environ | COPIED | {name: form.format(COPIED[name])})
    assert all(name in fault for fault in faults)
    assert COPIED[name] not in "".join(faults)


@pytest.mark.parametrize("text", ["\n", "\r\n", "\t"])
@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "SCOPE", "AUTHORIZATION_PARAMS"])
def test_line_break_inside_of_a_value_is_refused(
    environ: dict[str, str], name: str, text: str
) -> None:
    faults = faults_of(environ | {name: f"a=1{text}b"})
    assert faults[0].startswith(f"{name} has the invisible character U+")


def test_layout_and_quotes_that_belong_to_a_value_stay(
    environ: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "\u067e\u200c\u0647"
    folder.mkdir()
    entry = {"name": "ci", "sha256": sha256(b"x").hexdigest()}
    changes = {
        "API_KEYS": json.dumps([entry], indent="\t") + "\r\n",
        "AUTHORIZATION_PARAMS": 'claims={"id_token":null}&login_hint=a@b.test',
        "CLIENT_SECRET": "it's \"half\" quoted'\n",
        "ENCRYPTION_KEYS": f"{KEY}\n{KEY[::-1].lstrip('=')}=",
        "SQLITE_PATH": str(folder / "grants.sqlite"),
    }
    settings = Settings.from_environ(environ | changes)
    assert settings.clients.get(None).client_secret == "it's \"half\" quoted'"
    assert len(settings.encryption_keys) == len({*settings.encryption_keys}) == 2
    assert settings.clients.get(None).provider.authorization_params[0] == (
        "claims",
        '{"id_token":null}',
    )
