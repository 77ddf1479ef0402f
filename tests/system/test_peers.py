"""The peers do what the system tests rely on."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx
import pytest

from tests.patience import PATIENCE
from tests.system.browser import authorize
from tests.system.loopback import http
from tests.system.peers import (
    Peer,
    PeerDidNotStartError,
    RefreshPolicy,
    Stats,
    django_oauth_toolkit,
    oidc_provider,
    require_oidc_provider,
)
from tests.system.waiting import wait_until

REDIRECT_URI = "http://127.0.0.1:9/callback"


@pytest.fixture(scope="module")
def oidc() -> Iterator[Peer]:
    with oidc_provider(redirect_uri=REDIRECT_URI) as peer:
        yield peer


@pytest.fixture(scope="module")
def django() -> Iterator[Peer]:
    policy = RefreshPolicy.REUSE_PROTECTION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        yield peer


@pytest.fixture(params=["oidc", "django"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Either peer that rotates and detects reuse."""
    peer: Peer = request.getfixturevalue(request.param)
    return peer


# The client


def test_code_is_exchanged_for_valid_tokens(peer: Peer) -> None:
    tokens = first_tokens(peer)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 1800
    assert tokens["refresh_token"]
    assert is_valid(peer, tokens)
    assert not is_valid(peer, {"access_token": "a-stranger's"})


def test_wrong_secret_is_refused(peer: Peer) -> None:
    code = callback_params(peer)["code"]
    response = exchange(peer, code, client_secret="wrong")
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_wrong_pkce_verifier_is_refused(peer: Peer) -> None:
    verifier = "v" * 43
    assert_invalid_grant(exchange(peer, code_with_pkce(peer, verifier), code_verifier="w" * 43))
    tokens_of(exchange(peer, code_with_pkce(peer, verifier), code_verifier=verifier))


def test_basic_authentication_wants_its_parts_form_urlencoded(django: Peer) -> None:
    with oidc_provider(redirect_uri=REDIRECT_URI, auth_method="client_secret_basic") as oidc:
        for peer in (oidc, django):
            code = callback_params(peer)["code"]
            raw = f"{peer.client_id}:{peer.client_secret}"
            encoded = f"{quote_plus(peer.client_id)}:{quote_plus(peer.client_secret)}"
            assert exchange_by_basic(peer, code, raw).status_code in {400, 401}
            tokens_of(exchange_by_basic(peer, code, encoded))


# Refresh


def test_refresh_rotates_and_a_replay_revokes_the_family(peer: Peer) -> None:
    old = first_tokens(peer)
    new = tokens_of(refresh(peer, old["refresh_token"]))
    assert new["refresh_token"] != old["refresh_token"]
    assert is_valid(peer, new)
    assert_invalid_grant(refresh(peer, old["refresh_token"]))
    assert not is_valid(peer, new)
    assert_invalid_grant(refresh(peer, new["refresh_token"]))


def test_replay_does_no_harm_under_plain_rotation() -> None:
    policy = RefreshPolicy.ROTATION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        old = first_tokens(peer)
        new = tokens_of(refresh(peer, old["refresh_token"]))
        assert_invalid_grant(refresh(peer, old["refresh_token"]))
        assert is_valid(peer, new)
        tokens_of(refresh(peer, new["refresh_token"]))


def test_replay_brings_the_same_tokens_only_within_the_grace_period() -> None:
    policy = RefreshPolicy.ROTATION_WITH_GRACE
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy, grace=1) as peer:
        old = first_tokens(peer)
        new = tokens_of(refresh(peer, old["refresh_token"]))
        assert tokens_of(refresh(peer, old["refresh_token"])) == new
        wait_until(lambda: refresh(peer, old["refresh_token"]).status_code == 400)
        assert is_valid(peer, new)


def test_refresh_token_stays_good_without_rotation() -> None:
    policy = RefreshPolicy.NO_ROTATION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        refresh_token = first_tokens(peer)["refresh_token"]
        answers = [refresh(peer, refresh_token) for _ in range(3)]
        assert {tokens_of(answer)["refresh_token"] for answer in answers} == {refresh_token}
        assert is_valid(peer, answers[-1].json())


def test_revoked_refresh_token_is_refused(peer: Peer) -> None:
    refresh_token = first_tokens(peer)["refresh_token"]
    form = {**client_in_form(peer), "token": refresh_token}
    assert post(peer.revocation_endpoint, form).status_code == 200
    assert_invalid_grant(refresh(peer, refresh_token))


def test_short_access_token_expires_and_can_be_refreshed() -> None:
    with oidc_provider(redirect_uri=REDIRECT_URI, access_lifetime=3) as peer:
        tokens = first_tokens(peer)
        wait_until(lambda: not is_valid(peer, tokens))
        assert is_valid(peer, tokens_of(refresh(peer, tokens["refresh_token"])))


# Counts


def test_stats_are_exact_under_concurrency(peer: Peer) -> None:
    each = [first_tokens(peer)["refresh_token"] for _ in range(4)] + ["a-stranger's"] * 28
    peer.reset_stats()
    answers = at_once(lambda refresh_token: refresh(peer, refresh_token), each)
    assert Counter(answer.status_code for answer in answers) == {200: 4, 400: 28}
    assert peer.stats() == refreshes(32, granted=4, refused=28)


# Faults


@pytest.mark.parametrize(
    ("fault", "then"),
    [
        pytest.param("drop-answer", 400, id="committed"),
        pytest.param("drop-request", 200, id="not processed"),
    ],
)
def test_dropped_connection_has_no_answer(peer: Peer, fault: str, then: int) -> None:
    refresh_token = ready_for_faults(peer, fault)
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert peer.stats() == refreshes(1, granted=int(then == 400))
    assert refresh(peer, refresh_token).status_code == then


def test_planned_refusal_has_retry_after(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "refuse-503")
    answer = refresh(peer, refresh_token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert peer.stats() == refreshes(1, refused=1)
    tokens_of(refresh(peer, refresh_token))


def test_delayed_request_is_processed_for_a_client_that_gave_up(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "delay:0.2")
    with pytest.raises(httpx.ReadTimeout):
        refresh(peer, refresh_token, timeout=0.1)
    wait_until(lambda: peer.stats() == refreshes(1, granted=1))
    assert peer.stats().abandoned == 1


@pytest.mark.parametrize("fault", ["delay:0.1", "drop-answer", "late-commit:0.1"])
def test_request_is_not_abandoned_unless_its_client_hangs_up(peer: Peer, fault: str) -> None:
    refresh_token = ready_for_faults(peer, fault)
    with suppress(httpx.TransportError):
        refresh(peer, refresh_token)
    wait_until(lambda: peer.stats() == refreshes(1, granted=1))
    assert peer.stats().abandoned == 0


def test_late_commit_after_a_successful_retry_revokes_the_family(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "late-commit:1")
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    tokens = tokens_of(refresh(peer, refresh_token))
    assert is_valid(peer, tokens)
    wait_until(lambda: peer.stats() == refreshes(2, granted=1, refused=1))
    assert not is_valid(peer, tokens)


def test_faults_wait_in_line_for_refreshes(peer: Peer) -> None:
    peer.plan_faults("refuse-503")
    peer.plan_faults("drop-request", "refuse-503")
    refresh_token = first_tokens(peer)["refresh_token"]
    assert refresh(peer, refresh_token).status_code == 503
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert refresh(peer, refresh_token).status_code == 503
    tokens_of(refresh(peer, refresh_token))


# Processes


def test_server_that_does_not_start_reports_its_output() -> None:
    with (
        pytest.raises(PeerDidNotStartError, match=r"ttl.AccessToken must be"),
        oidc_provider(redirect_uri=REDIRECT_URI, access_lifetime=-1),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_missing_node_skips_here_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match="needs node"):
        require_oidc_provider()


def authorization_url(peer: Peer, **params: str) -> str:
    query = {
        "response_type": "code",
        "client_id": peer.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": peer.scope,
        "state": "a-state",
        **peer.authorization_params,
        **params,
    }
    return f"{peer.authorization_endpoint}?{urlencode(query)}"


def callback_params(peer: Peer, **params: str) -> dict[str, str]:
    callback = authorize(authorization_url(peer, **params), redirect_uri=REDIRECT_URI)
    return {name: value for name, [value] in parse_qs(urlsplit(callback).query).items()}


def code_with_pkce(peer: Peer, verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return callback_params(peer, code_challenge=challenge, code_challenge_method="S256")["code"]


def post(
    url: str,
    form: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = PATIENCE.total_seconds(),
) -> httpx.Response:
    return http.post(url, data=form, headers=headers, timeout=timeout)


def client_in_form(peer: Peer) -> dict[str, str]:
    return {"client_id": peer.client_id, "client_secret": peer.client_secret}


def code_in_form(code: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}


def exchange(peer: Peer, code: str, **params: str) -> httpx.Response:
    form = {**client_in_form(peer), **code_in_form(code), **params}
    return post(peer.token_endpoint, form)


def exchange_by_basic(peer: Peer, code: str, credentials: str) -> httpx.Response:
    header = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    return post(peer.token_endpoint, code_in_form(code), headers={"Authorization": header})


def refresh(
    peer: Peer, refresh_token: str, *, timeout: float = PATIENCE.total_seconds()
) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return post(peer.token_endpoint, {**client_in_form(peer), **form}, timeout=timeout)


def tokens_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def first_tokens(peer: Peer) -> dict[str, Any]:
    return tokens_of(exchange(peer, callback_params(peer)["code"]))


def ready_for_faults(peer: Peer, *faults: str) -> str:
    """Log in, plan the faults, count from nothing; return the refresh token."""
    refresh_token: str = first_tokens(peer)["refresh_token"]
    peer.plan_faults(*faults)
    peer.reset_stats()
    return refresh_token


def refreshes(number: int, *, granted: int = 0, refused: int = 0) -> Stats:
    arrived = Counter({"refresh_token": number})
    return Stats(arrived=arrived, granted=granted, refused=refused, in_flight=0)


def is_valid(peer: Peer, tokens: Mapping[str, Any]) -> bool:
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = http.get(peer.protected_endpoint, headers=bearer)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


def assert_invalid_grant(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def at_once(call: Callable[[str], httpx.Response], arguments: list[str]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(call, arguments))
