"""`TokenSource`: when it asks the keeper, and which token it serves meanwhile."""

from typing import Any

import pytest

from oauth_callback import KeyRefused, LoginNeeded, NotConfigured, TokenSource, TryLater
from tests.client.rig import TOKEN, rig


def test_the_token_comes_from_memory_until_the_keeper_has_another_one() -> None:
    with rig() as it:
        assert {it.source.token(), it.source(), it.source.get().access_token} == {"token-1"}
        it.wait(1739)
        assert it.source.token() == "token-1"
        assert it.asked() == [TOKEN]
        it.wait(1)
        assert it.source.token() == "token-2"
        assert it.asked() == [TOKEN]


@pytest.mark.parametrize(
    ("lifetime", "asked_after", "expected"),
    [
        pytest.param(1800.0, 1740, "token-2", id="at min_ttl before it expires"),
        pytest.param(None, 3600, "token-1", id="hourly if it does not expire"),
    ],
)
def test_an_older_keeper_is_asked_when_it_has_another_one(
    lifetime: float | None, asked_after: int, expected: str
) -> None:
    with rig(is_older=True, lifetime=lifetime) as it:
        it.source.token()
        it.wait(asked_after - 1)
        assert it.source.token() == "token-1"
        assert it.asked() == [TOKEN]
        it.wait(1)
        assert it.source.token() == expected
        assert it.asked() == [TOKEN]


def test_an_older_keeper_with_short_lived_tokens_is_asked_a_few_times_for_each() -> None:
    with rig(is_older=True, lifetime=90.0) as it:
        connection = it.keeper.connection()
        served_at: dict[str, float] = {}
        for _ in range(900):
            token = it.source.token()
            assert it.clock.now - served_at.setdefault(token, it.clock.now) < 90
            it.wait(1)
        assert len(it.asked()) <= 6 * connection.generation


def test_the_answer_has_what_an_api_may_need() -> None:
    with rig() as it:
        it.keeper.connection("crm").extra = {"instance_url": "https://x.example"}
        it.keeper.connection("crm").scope = "api"
        token = it.another(connection="crm").get()
        assert token.authorization == "Bearer crm-token-1"
        assert (token.scope, token.generation) == ("api", 1)
        assert token.extra == {"instance_url": "https://x.example"}
        assert token.expires_at is not None
        assert token.ask_again_at == token.expires_at - 60


def test_min_ttl_is_sent_and_kept() -> None:
    with rig(min_ttl=600, is_older=True) as it:
        it.source.token()
        assert it.keeper.requests[0].params == {"min_ttl": "600"}
        it.wait(1200)
        assert it.source.token() == "token-2"


@pytest.mark.parametrize("min_ttl", [-1, 10**9, True, 1.5])
def test_a_wrong_min_ttl_is_an_error(min_ttl: Any) -> None:
    with pytest.raises(NotConfigured, match="min_ttl"):
        TokenSource("https://keeper.example", "a-key", min_ttl=min_ttl)


# The keeper is away


def test_the_old_token_is_served_until_it_expires(caplog: pytest.LogCaptureFixture) -> None:
    with rig() as it:
        it.source.token()
        it.keeper.go_away()
        for _ in range(180):
            it.wait(10)
            if it.clock.now < 1000 + 1800:
                assert it.source.token() == "token-1"
        assert not it.clock.slept
        assert len(caplog.records) == len(it.asked()) - 1 < 10
        assert "The current one is served until it expires." in caplog.text
        assert "token-1" not in caplog.text
        it.keeper.recover()
        assert it.source.token() == "token-2"


@pytest.mark.parametrize("problem", ["store-unavailable", "not-configured", "not-found"])
def test_the_old_token_is_served_whatever_the_deployment_lacks(problem: str) -> None:
    with rig() as it:
        it.source.token()
        it.keeper.fail(problem)
        it.wait(1790)
        assert it.source.token() == "token-1"


def test_a_token_that_has_expired_is_not_served() -> None:
    with rig(wait=0) as it:
        it.source.token()
        it.keeper.go_away()
        it.wait(1800)
        with pytest.raises(TryLater, match=r"Cannot reach the keeper at 127\.0\.0\.1"):
            it.source.token()


def test_without_a_token_the_source_retries_as_long_as_it_may() -> None:
    with rig(wait=30) as it:
        it.keeper.fail("refresh-in-progress", times=3, retry_after=5)
        assert it.source.token() == "token-1"
        assert it.clock.slept == [5, 5, 5]
    with rig(wait=30) as it:
        it.keeper.go_away()
        with pytest.raises(TryLater):
            it.source.token()
        assert 20 <= sum(it.clock.slept) <= 30


def test_the_keeper_is_not_asked_before_retry_after() -> None:
    with rig(wait=0) as it:
        it.keeper.fail("provider-unavailable", retry_after=40, times=1)
        for left in (40, 30, 20, 10):
            with pytest.raises(TryLater) as raised:
                it.source.token()
            assert raised.value.retry_after == left
            it.wait(10)
        assert it.asked() == [TOKEN]
        assert it.source.token() == "token-1"


def test_a_day_in_retry_after_is_not_believed() -> None:
    with rig(wait=0) as it:
        it.keeper.fail("store-unavailable", retry_after=86400, times=1)
        with pytest.raises(TryLater):
            it.source.token()
        it.wait(300)
        assert it.source.token() == "token-1"


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        pytest.param("api-key-invalid", KeyRefused, id="key"),
        pytest.param("key-not-allowed", KeyRefused, id="not allowed"),
    ],
)
def test_a_refused_key_is_reported_though_a_token_is_valid(
    problem: str, kind: type[Exception]
) -> None:
    with rig() as it:
        it.source.token()
        it.keeper.fail(problem)
        it.wait(1750)
        with pytest.raises(kind):
            it.source.token()


def test_a_login_ends_the_error_at_once() -> None:
    with rig() as it:
        it.keeper.require_login("never-authorized")
        with pytest.raises(LoginNeeded) as raised:
            it.source.token()
        assert raised.value.cause == "never-authorized"
        assert raised.value.link == f"{it.keeper.url}/api/login?link=a-link"
        assert "a-link" not in str(raised.value)
        it.keeper.log_in()
        assert it.source.token() == "token-1"


# The API refuses the token


def test_a_refused_token_is_replaced_by_one_request() -> None:
    with rig() as it:
        used = it.source.get()
        assert it.source.get(refused=used).access_token == "token-2"
        assert it.asked() == [TOKEN, f"{TOKEN}?refused=1"]
        # Another caller used the old one as well.
        assert it.source.get(refused="token-1").access_token == "token-2"
        assert it.asked() == []


def test_a_refused_token_of_an_earlier_process_is_replaced() -> None:
    with rig() as it:
        it.source.token()
        it.asked()
        assert it.another().get(refused="token-1").access_token == "token-2"
        assert it.asked() == [TOKEN, f"{TOKEN}?refused=1"]


def test_an_older_keeper_refreshes_a_refused_token() -> None:
    with rig(is_older=True) as it:
        used = it.source.get()
        assert used.generation is None
        it.wait(10)
        assert it.source.get(refused=used).access_token == "token-2"
        assert it.asked() == [TOKEN, "POST /api/refresh", TOKEN]
        with pytest.raises(TryLater, match="no newer one yet") as raised:
            it.source.get(refused="token-2")
        assert raised.value.problem == "token-refused-again"
        assert it.source.token() == "token-2"
        it.wait(10)
        assert it.source.get(refused="token-2").access_token == "token-3"


def test_an_api_that_refuses_everything_costs_one_request_a_minute() -> None:
    with rig() as it:
        used = it.source.get()
        it.keeper.refuse_again()
        it.asked()
        for _ in range(20):
            with pytest.raises(TryLater, match="refuses every token"):
                it.source.get(refused=used)
        assert it.source.token() == "token-1"
        assert it.asked() == [f"{TOKEN}?refused=1"]
        assert not it.clock.slept
        it.wait(60)
        it.keeper.recover()
        assert it.source.get(refused=used).access_token == "token-2"


def test_an_api_that_refuses_everything_delays_no_other_caller() -> None:
    with rig() as it:
        used = it.source.get()
        it.keeper.refuse_again()
        it.wait(1745)
        with pytest.raises(TryLater):
            it.source.get(refused=used)
        assert it.source.token() == "token-2"
