"""Named API keys: their restrictions, how they are recognised, and faults in their list."""

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from functions.access import gate as access
from functions.access.gate import key_of_request, require_api_key
from functions.http.messages import Request
from functions.http.problems import ProblemError
from functions.settings.api_keys import (
    KEYED_ENDPOINTS,
    ApiKey,
    KeyedEndpoint,
    digest_of,
    end_of_day,
)
from functions.settings.settings import Settings, SettingsError
from tests.functions.conftest import Deploy
from tests.functions.deployment import (
    API_KEY,
    PUBLIC_URL,
    WITH_API_KEY,
    Deployment,
    Header,
    at,
)
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import fresh

CI = "a-key-of-the-jobs-in-the-cloud"
OPERATOR = "a-key-of-the-operator-of-it-all"
LOGINS_TOO = "a-key-that-may-begin-logins-too"
REFRESHER = "a-key-that-may-refresh-and-nothing-else"
OLD = "a-key-that-is-of-no-use-any-more"
TICK = timedelta(microseconds=1)
END = datetime(2027, 2, 1, tzinfo=UTC)
# The required variables apart from those under test.
OTHERS = {"CLIENT_ID": "client", "CLIENT_SECRET": "secret", "SQLITE_PATH": "grants.sqlite"}


def entry(name: str, key: str, **restrictions: object) -> dict[str, object]:
    return {"name": name, "sha256": sha256(key.encode()).hexdigest(), **restrictions}


def api_keys(*entries: object) -> str:
    return json.dumps(entries)


def with_key(key: str) -> Header:
    return ("authorization", f"Bearer {key}")


KEYS = api_keys(
    entry("ci", CI, connections=["allowed", "allowed-too"], endpoints=["token", "verify"]),
    entry("operator", OPERATOR, expires="9998-12-31"),
    entry("logins-too", LOGINS_TOO, endpoints=["login", "token", "verify"]),
    entry("refresher", REFRESHER, endpoints=["refresh"]),
    entry("old", OLD, expires="2020-01-31"),
)


@pytest.fixture
def keyed(deploy: Deploy) -> Deployment:
    """A deployment with one key for everything, and others that are named."""
    deployment = deploy(API_KEYS=KEYS)
    for connection in ("allowed", "default", "existing"):
        deployment.put(connection, fresh())
    return deployment


# Restrictions


def test_every_key_is_accepted_with_the_others(keyed: Deployment) -> None:
    target = at("/api/token", connection="allowed")
    for key in (API_KEY, CI, OPERATOR):
        expect_token(keyed.call("GET", target, with_key(key)))
        expect_token(keyed.call("GET", target, ("x-api-key", key)))


def test_keys_are_enough_without_the_one_key(deploy: Deploy) -> None:
    deployment = deploy(API_KEYS=KEYS, API_KEY=None)
    deployment.put("allowed", fresh())
    expect_token(deployment.call("GET", "/api/token?connection=allowed", with_key(CI)))
    answer = deployment.call("GET", "/api/token?connection=allowed", with_key(API_KEY))
    expect_problem(answer, 401, "api-key-invalid")


def test_key_is_refused_every_endpoint_that_it_is_not_for(keyed: Deployment) -> None:
    before = keyed.rows()
    for method, path in WITH_API_KEY:
        answer = keyed.call(method, at(path, connection="allowed"), with_key(CI))
        if path in {"/api/token", "/api/verify"}:
            expect_json(answer)
        else:
            members = expect_problem(answer, 403, "key-not-allowed")
            endpoint = endpoint_of(path)
            assert (
                f"does not allow the API key 'ci' for the endpoint {endpoint}." in members["detail"]
            )
    assert keyed.rows() == before


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/token"), ("GET", "/api/verify")])
def test_key_is_refused_other_connections_whether_there_are_any_or_not(
    keyed: Deployment, method: str, path: str
) -> None:
    answers = set()
    for connection in ("existing", "missing", "Allowed", "allowed-"):
        answer = keyed.call(method, at(path, connection=connection), with_key(CI))
        detail = expect_problem(answer, 403, "key-not-allowed")["detail"]
        answers.add(detail.replace(connection, "…"))
        assert "allowed" not in detail.replace("not allowed", "").replace(connection, "")
    # The same words for those that are there and those that are not.
    assert len(answers) == 1
    # Without a name it is the default connection that is asked for.
    expect_problem(keyed.call(method, path, with_key(CI)), 403, "key-not-allowed")
    expect_json(keyed.call(method, at(path, connection="allowed"), with_key(CI)))


def test_checklist_51_key_that_is_not_for_that_is_challenged_for_its_scope(
    keyed: Deployment,
) -> None:
    answer = keyed.call("POST", "/api/login?connection=allowed", with_key(CI))
    expect_problem(answer, 403, "key-not-allowed")
    challenge = 'Bearer realm="oauth-callback", error="insufficient_scope"'
    assert answer.headers["www-authenticate"] == challenge


def test_checklist_13_key_that_is_not_for_logins_is_given_no_link_to_one(
    keyed: Deployment,
) -> None:
    url = f"{PUBLIC_URL}/api/login?connection=allowed-too"
    for path, status in (("/api/token", 401), ("/api/verify", 404)):
        target = at(path, connection="allowed-too")
        answer = keyed.call("GET", target, with_key(CI))
        members = answer.json()
        assert (answer.status_code, members["login"]) == (status, {"method": "POST", "url": url})
        assert "an API key that is allowed for login" in members["detail"]
        assert "link" not in answer.text
        # A key that may begin logins gets one, and so does the key for everything.
        for key in (OPERATOR, LOGINS_TOO, API_KEY):
            assert "link" in keyed.call("GET", target, with_key(key)).json()["login"]
    refresh = keyed.call("POST", at("/api/refresh", connection="other"), with_key(REFRESHER))
    assert "link" not in expect_problem(refresh, 401, "authorization-required")["login"]


def test_only_an_expired_key_is_answered_as_expired(keyed: Deployment) -> None:
    for method, path in WITH_API_KEY:
        answer = keyed.call(method, path, with_key(OLD))
        assert "'old' has expired" in expect_problem(answer, 401, "api-key-invalid")["detail"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        for key in (f"{OLD}x", OLD[:-1], sha256(OLD.encode()).hexdigest()):
            answer = keyed.call(method, path, with_key(key))
            detail = expect_problem(answer, 401, "api-key-invalid")["detail"]
            assert not {"expired", "old"} & set(detail.replace("'", "").split())


def test_digest_of_a_key_is_refused_as_a_key(keyed: Deployment) -> None:
    for key in (CI, OPERATOR, API_KEY):
        digest = sha256(key.encode()).hexdigest()
        answer = keyed.call("GET", "/api/token", with_key(digest))
        expect_problem(answer, 401, "api-key-invalid")


def test_two_good_keys_at_once_are_refused(keyed: Deployment) -> None:
    # Which of them would be the caller's?
    both = [("x-api-key", OPERATOR), with_key(API_KEY)]
    answer = keyed.call("GET", "/api/token", *both)
    detail = expect_problem(answer, 401, "api-key-invalid")["detail"]
    assert "two different API keys" in detail
    # Two wrong keys have the same answer, which reveals nothing.
    neither = [("x-api-key", f"{OPERATOR}x"), with_key(f"{API_KEY}x")]
    answer = keyed.call("GET", "/api/token", *neither)
    assert expect_problem(answer, 401, "api-key-invalid")["detail"] == detail


def test_no_key_is_in_the_settings() -> None:
    settings = Settings.from_environ({**OTHERS, "API_KEY": API_KEY, "API_KEYS": KEYS})
    for key in (API_KEY, CI, OPERATOR):
        assert key not in repr(settings)
        assert sha256(key.encode()).hexdigest() not in repr(settings)
        assert str(sha256(key.encode()).digest()) not in repr(settings)


# One by one


def asking(*keys: bytes, **parameters: str) -> Request:
    headers = tuple((b"x-api-key", key) for key in keys)
    return Request(method="GET", path="/api/token", parameters=parameters, headers=headers)


def key(name: str, **restrictions: object) -> ApiKey:
    return ApiKey(name=name, digest=digest_of(name.encode()), **restrictions)  # type: ignore[arg-type]


@pytest.mark.parametrize("late", [-TICK, timedelta(0), TICK], ids=str)
def test_key_ends_at_the_end_of_its_last_day(late: timedelta) -> None:
    keys = [key("one", expires_at=end_of_day("2027-01-31"))]

    def ask() -> str:
        return require_api_key(asking(b"one"), keys, endpoint="token", now=END + late).key_name

    if late < timedelta(0):
        assert ask() == "one"
    else:
        with pytest.raises(ProblemError) as refused:
            ask()
        assert refused.value.problem.name == "api-key-invalid"


@pytest.mark.parametrize("endpoint", KEYED_ENDPOINTS)
def test_caller_is_known_by_the_name_of_the_key_and_the_connection(endpoint: KeyedEndpoint) -> None:
    keys = [key("one"), key("two", endpoints=frozenset({endpoint})), key("three")]
    caller = require_api_key(asking(b"two", connection="c"), keys, endpoint=endpoint, now=END)
    assert (caller.key_name, caller.connection) == ("two", "c")


def test_every_endpoint_with_a_key_is_one_that_a_key_can_be_for() -> None:
    assert set(KEYED_ENDPOINTS) == {endpoint_of(path) for _, path in WITH_API_KEY}


def endpoint_of(path: str) -> str:
    """Return the endpoint that a key has to be for. An adoption takes the place of a login."""
    return "login" if path == "/api/adopt" else path.removeprefix("/api/")


@pytest.mark.parametrize("place", [0, 1, 49, 50])
def test_key_is_found_wherever_it_stands(place: int) -> None:
    keys = [key(f"key-{number}") for number in range(51)]
    found = key_of_request(asking(f"key-{place}".encode()), keys)
    assert found == keys[place]
    assert key_of_request(asking(f"key-{place}".encode(), b"key-51"), keys) is None
    assert key_of_request(asking(), keys) is None
    assert key_of_request(asking(b"key-0"), []) is None


@pytest.mark.parametrize("shown", ["key-0", "key-50", "key-51"])
def test_checklist_50_every_key_is_compared_in_constant_time_whichever_is_right(
    monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    compared: list[bytes] = []

    def compare(kept: bytes, given: bytes) -> bool:
        compared.append(kept)
        return hmac.compare_digest(kept, given)

    keys = [key(f"key-{number}") for number in range(51)]
    monkeypatch.setattr(access, "compare_digest", compare)
    found = key_of_request(asking(shown.encode()), keys)
    assert (found is None) == (shown == "key-51")
    assert compared == [one.digest for one in keys]


# Faults in a list

MARK = "ValueThatIsNotRepeated"
DIGEST = sha256(CI.encode()).hexdigest()
FAULTS: dict[str, tuple[list[object], str]] = {
    "no object": ([MARK], "entry 1: "),
    "no name": ([{"sha256": DIGEST}], "entry 1: name"),
    "a name with a space": ([entry(f"{MARK} ", CI)], "entry 1: name"),
    "a name that is too long": ([entry(MARK * 3, CI)], "entry 1: name"),
    "a name that is a number": ([{"name": 1, "sha256": DIGEST}], "entry 1: name"),
    "the name of the one key": ([entry("API_KEY", CI)], "entry 1: name"),
    "the second": ([entry("ci", CI), {"name": "two"}], "entry 'two': sha256"),
    "no digest": ([{"name": "ci"}], "entry 'ci': sha256"),
    "the key itself": ([{"name": "ci", "sha256": f"{MARK}-in-the-place-of-its-hash"}], "sha256"),
    "half a digest": ([{"name": "ci", "sha256": DIGEST[:32]}], "entry 'ci': sha256"),
    "a digest and a line feed": ([{"name": "ci", "sha256": f"{DIGEST}\n"}], "entry 'ci': sha256"),
    "the digest of nothing": ([entry("ci", "")], "entry 'ci': sha256 is the hash of an empty key"),
    "a member that is misspelt": ([entry("ci", CI, connection=[MARK])], "entry 'ci': it has"),
    "a connection that is none": ([entry("ci", CI, connections=[f"{MARK}/"])], "connections"),
    "a text for connections": ([entry("ci", CI, connections=MARK)], "connections"),
    "no connections": ([entry("ci", CI, connections=[])], "connections"),
    "null for connections": ([entry("ci", CI, connections=None)], "connections"),
    "an endpoint that is none": ([entry("ci", CI, endpoints=["token", MARK])], "endpoints"),
    "an endpoint that asks for none": ([entry("ci", CI, endpoints=["health"])], "endpoints"),
    "no endpoints": ([entry("ci", CI, endpoints=[])], "endpoints"),
    "an instant": ([entry("ci", CI, expires="2027-01-31T00:00:00Z")], "expires"),
    "a day that is none": ([entry("ci", CI, expires="2027-02-29")], "expires"),
    "the last day of all": ([entry("ci", CI, expires="9999-12-31")], "expires"),
    "a number for a day": ([entry("ci", CI, expires=20270131)], "expires"),
    "null for a day": ([entry("ci", CI, expires=None)], "expires"),
    "a name twice": ([entry("ci", CI), entry("ci", OLD)], "the name 'ci' more than once"),
    "a key twice": ([entry("ci", CI), entry("two", CI)], "'ci' and 'two'"),
    "the one key with a name": ([entry("ci", API_KEY)], "'API_KEY' and 'ci'"),
}


@pytest.mark.parametrize(("entries", "said"), FAULTS.values(), ids=FAULTS)
def test_fault_in_a_list_of_keys_names_the_entry_and_repeats_no_value(
    entries: list[object], said: str
) -> None:
    environ = {**OTHERS, "API_KEY": API_KEY, "API_KEYS": api_keys(*entries)}
    (fault,) = faults_of(environ)
    assert "API_KEYS" in fault
    assert said in fault
    assert MARK not in fault


def test_member_that_is_there_twice_is_a_fault() -> None:
    # Of two restrictions JSON would drop the first.
    text = (
        f'[{{"name": "ci", "sha256": "{DIGEST}", "endpoints": ["token"], "endpoints": ["login"]}}]'
    )
    assert "without repeated members" in faults_of({**OTHERS, "API_KEYS": text})[0]


def test_all_faults_of_a_list_are_named_at_once() -> None:
    text = api_keys({"name": "one"}, entry("two", CI, expires=""), entry("three", OLD), "four")
    faults = faults_of({**OTHERS, "API_KEYS": text})
    assert [fault.split(":")[0] for fault in faults] == [
        "API_KEYS, entry 'one'",
        "API_KEYS, entry 'two'",
        "API_KEYS, entry 4",
    ]


def test_key_that_is_refused_is_the_only_fault_that_is_named() -> None:
    # That there is no other is its consequence.
    assert len(faults_of({**OTHERS, "API_KEYS": "[]"})) == 1
    assert len(faults_of({**OTHERS, "API_KEY": "short"})) == 1


def faults_of(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(environ)
    return refused.value.faults
