"""Proof that the peers do what the system tests take for granted."""

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx
import pytest

from tests.system.browser import authorize, log_in
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


# Login


def test_login_brings_code_and_state(peer: Peer) -> None:
    params = callback_params(peer, state="the-state")
    assert params["code"]
    assert params["state"] == "the-state"


def test_oidc_provider_names_itself_in_the_redirect(oidc: Peer) -> None:
    assert callback_params(oidc)["iss"] == oidc.issuer


def test_login_that_gets_stuck_shows_the_page(peer: Peer) -> None:
    with pytest.raises(AssertionError, match=r"stuck at .*status 40.*client"):
        callback_params(peer, client_id="stranger")


def test_log_in_gets_the_redirect_uri() -> None:
    with client_that_counts_codes() as (redirect_uri, codes):
        policy = RefreshPolicy.ROTATION
        with django_oauth_toolkit(redirect_uri=redirect_uri, policy=policy) as peer:
            url = authorization_url(peer, redirect_uri=redirect_uri)
            response = log_in(url, redirect_uri=redirect_uri)
    assert response.text == "logged in"
    assert len(codes) == 1


# The client


def test_code_is_exchanged_for_living_tokens(peer: Peer) -> None:
    tokens = first_tokens(peer)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 1800
    assert tokens["refresh_token"]
    assert is_alive(peer, tokens)
    assert not is_alive(peer, {"access_token": "a-stranger's"})


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


def test_secret_is_not_shown(peer: Peer) -> None:
    assert peer.client_secret not in repr(peer)


# Refresh


def test_refresh_rotates(peer: Peer) -> None:
    old = first_tokens(peer)
    new = tokens_of(refresh(peer, old["refresh_token"]))
    assert new["refresh_token"] != old["refresh_token"]
    assert is_alive(peer, new)


def test_replay_kills_the_family(peer: Peer) -> None:
    old = first_tokens(peer)
    new = tokens_of(refresh(peer, old["refresh_token"]))
    assert_invalid_grant(refresh(peer, old["refresh_token"]))
    assert not is_alive(peer, new)
    assert_invalid_grant(refresh(peer, new["refresh_token"]))


def test_replay_does_no_harm_under_plain_rotation() -> None:
    policy = RefreshPolicy.ROTATION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        old = first_tokens(peer)
        new = tokens_of(refresh(peer, old["refresh_token"]))
        assert_invalid_grant(refresh(peer, old["refresh_token"]))
        assert is_alive(peer, new)
        tokens_of(refresh(peer, new["refresh_token"]))


def test_replay_brings_the_same_tokens_only_within_the_grace_period() -> None:
    policy = RefreshPolicy.ROTATION_WITH_GRACE
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy, grace=1) as peer:
        old = first_tokens(peer)
        new = tokens_of(refresh(peer, old["refresh_token"]))
        assert tokens_of(refresh(peer, old["refresh_token"])) == new
        wait_until(lambda: refresh(peer, old["refresh_token"]).status_code == 400)
        assert is_alive(peer, new)


def test_refresh_token_stays_good_without_rotation() -> None:
    policy = RefreshPolicy.NO_ROTATION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        refresh_token = first_tokens(peer)["refresh_token"]
        answers = [refresh(peer, refresh_token) for _ in range(3)]
        assert {tokens_of(answer)["refresh_token"] for answer in answers} == {refresh_token}
        assert is_alive(peer, answers[-1].json())


def test_oidc_provider_can_leave_rotation_out() -> None:
    with oidc_provider(redirect_uri=REDIRECT_URI, rotate=False) as peer:
        refresh_token = first_tokens(peer)["refresh_token"]
        for _ in range(2):
            assert tokens_of(refresh(peer, refresh_token))["refresh_token"] == refresh_token


def test_revoked_refresh_token_is_dead(peer: Peer) -> None:
    refresh_token = first_tokens(peer)["refresh_token"]
    form = {**client_in_form(peer), "token": refresh_token}
    assert post(peer.revocation_endpoint, form).status_code == 200
    assert_invalid_grant(refresh(peer, refresh_token))


def test_three_second_access_token_dies_and_can_be_refreshed() -> None:
    policy = RefreshPolicy.ROTATION
    with (
        oidc_provider(redirect_uri=REDIRECT_URI, access_lifetime=3) as oidc,
        django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy, access_lifetime=3) as django,
    ):
        issued = [(peer, first_tokens(peer)) for peer in (oidc, django)]
        for peer, tokens in issued:
            assert is_alive(peer, tokens)
        for peer, tokens in issued:
            wait_until_dead(peer, tokens)
            assert is_alive(peer, tokens_of(refresh(peer, tokens["refresh_token"])))


# Counts


def test_stats_count_by_grant_type_and_outcome(peer: Peer) -> None:
    peer.reset_stats()
    tokens = first_tokens(peer)
    refresh(peer, tokens["refresh_token"])
    refresh(peer, "a-stranger's")
    arrived = Counter({"authorization_code": 1, "refresh_token": 2})
    assert peer.stats() == Stats(arrived=arrived, granted=2, refused=1, in_flight=0)
    peer.reset_stats()
    assert peer.stats() == refreshes(0)


def test_stats_are_exact_under_concurrency(peer: Peer) -> None:
    each = [first_tokens(peer)["refresh_token"] for _ in range(4)] + ["a-stranger's"] * 28
    peer.reset_stats()
    answers = at_once(lambda refresh_token: refresh(peer, refresh_token), each)
    assert Counter(answer.status_code for answer in answers) == {200: 4, 400: 28}
    assert peer.stats() == refreshes(32, granted=4, refused=28)


# Faults


def test_dropped_answer_is_committed(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "drop-answer")
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert peer.stats() == refreshes(1, granted=1)
    assert_invalid_grant(refresh(peer, refresh_token))


def test_dropped_request_is_not_processed(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "drop-request")
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert peer.stats() == refreshes(1)
    tokens_of(refresh(peer, refresh_token))


def test_planned_refusal_says_when_to_come_back(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "refuse-503")
    answer = refresh(peer, refresh_token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert peer.stats() == refreshes(1, refused=1)
    tokens_of(refresh(peer, refresh_token))


def test_delayed_request_is_answered_late(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "delay:0.1")
    start = time.monotonic()
    tokens_of(refresh(peer, refresh_token))
    assert time.monotonic() - start >= 0.1


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


def test_late_commit_lands_when_the_client_has_gone(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "late-commit:2")
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert peer.stats().in_flight == 1
    wait_until(lambda: peer.stats() == refreshes(1, granted=1))
    assert_invalid_grant(refresh(peer, refresh_token))


def test_late_commit_after_a_successful_retry_kills_the_family(peer: Peer) -> None:
    refresh_token = ready_for_faults(peer, "late-commit:1")
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    tokens = tokens_of(refresh(peer, refresh_token))
    assert is_alive(peer, tokens)
    wait_until(lambda: peer.stats() == refreshes(2, granted=1, refused=1))
    assert not is_alive(peer, tokens)


def test_faults_wait_in_line_for_refreshes(peer: Peer) -> None:
    peer.plan_faults("refuse-503")
    peer.plan_faults("drop-request", "refuse-503")
    refresh_token = first_tokens(peer)["refresh_token"]
    assert refresh(peer, refresh_token).status_code == 503
    with pytest.raises(httpx.TransportError):
        refresh(peer, refresh_token)
    assert refresh(peer, refresh_token).status_code == 503
    tokens_of(refresh(peer, refresh_token))


def test_unknown_fault_is_not_planned(peer: Peer) -> None:
    with pytest.raises(ValueError, match=r"no such fault: .'delay'"):
        peer.plan_faults("delay")


# Processes


def test_server_ends_with_its_context() -> None:
    policy = RefreshPolicy.ROTATION
    with django_oauth_toolkit(redirect_uri=REDIRECT_URI, policy=policy) as peer:
        peer.stats()
    with pytest.raises(ConnectionRefusedError):
        peer.stats()


def test_server_that_does_not_start_shows_what_it_printed() -> None:
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


# What the tests above say in one word


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


@cache
def http() -> httpx.Client:
    """One client for all, since making one takes longer than most answers."""
    return httpx.Client(trust_env=False)


def post(
    url: str,
    form: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> httpx.Response:
    return http().post(url, data=form, headers=headers, timeout=timeout)


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


def refresh(peer: Peer, refresh_token: str, *, timeout: float = 10) -> httpx.Response:
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


def is_alive(peer: Peer, tokens: Mapping[str, Any]) -> bool:
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = http().get(peer.protected_endpoint, headers=bearer)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


def assert_invalid_grant(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def at_once(call: Callable[[str], httpx.Response], arguments: list[str]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(call, arguments))


def wait_until_dead(peer: Peer, tokens: Mapping[str, Any]) -> None:
    wait_until(lambda: not is_alive(peer, tokens))


@contextmanager
def client_that_counts_codes() -> Iterator[tuple[str, list[str]]]:
    codes: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            codes.extend(parse_qs(urlsplit(self.path).query)["code"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"logged in")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/callback", codes
        server.shutdown()
