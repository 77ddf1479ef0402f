"""The durations of the rules of refresh, each from both sides of its end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.grant import Attempt
from domain.policy import Policy
from domain.provider import RotationKind
from domain.question import DEFAULT_MIN_TTL
from tests.domain.examples import DIGIKEY, MINUTE, POLICY, SECOND, T0, TOKENS, policy

TICK = timedelta(microseconds=1)
NEVER = timedelta(0)
ATTEMPT = Attempt(id="123456789", authorized_at=T0, generation=7, client="client-1", started_at=T0)
# The check value of CRC-32 in CRC catalogues, for "123456789".
DRAWN = 0xCBF43926 / 2**32


def test_the_default_durations() -> None:
    assert Policy(provider=DIGIKEY, client="client-1") == Policy(
        provider=DIGIKEY,
        client="client-1",
        refresh_early=5 * MINUTE,
        min_refresh_interval=10 * SECOND,
        send_within=5 * SECOND,
        request_timeout=30 * SECOND,
        lease=60 * SECOND,
        first_backoff=SECOND,
        max_backoff=5 * MINUTE,
        max_retry_after=60 * MINUTE,
        other_client_wait=MINUTE,
    )
    assert DEFAULT_MIN_TTL == 60 * SECOND


@pytest.mark.parametrize(
    ("life", "after_the_end"),
    [
        pytest.param(MINUTE * 30, 5 * SECOND, id="long"),
        pytest.param(40 * SECOND, 2 * SECOND, id="short"),
    ],
)
def test_the_last_try_waits_for_the_end_by_the_provider_s_clock(
    life: timedelta, after_the_end: timedelta
) -> None:
    tokens = replace(TOKENS, issued_at=T0, expires_at=T0 + life)
    assert POLICY.last_try_at(tokens, T0 + SECOND) == T0 + life + after_the_end


def test_the_last_try_for_a_token_without_an_end_waits_five_minutes() -> None:
    assert POLICY.last_try_at(replace(TOKENS, expires_at=None), T0) == T0 + 5 * MINUTE


@pytest.mark.parametrize("lease", [34 * SECOND, 35 * SECOND])
def test_a_request_that_could_outlive_its_lease_is_refused(lease: timedelta) -> None:
    with pytest.raises(ValueError, match="lease"):
        replace(POLICY, lease=lease)


def test_a_request_that_is_over_before_its_lease_is_fine() -> None:
    assert replace(POLICY, lease=35 * SECOND + TICK).lease == 35 * SECOND + TICK


@pytest.mark.parametrize(
    ("by", "sent_again_after"),
    [
        (policy(RotationKind.NONE), NEVER),
        (policy(RotationKind.ALWAYS), MINUTE),
        (policy(RotationKind.OPTIONAL), MINUTE),
        (policy(grace=TICK * 2), TICK),
        (policy(grace=30 * SECOND), 15 * SECOND),
        (policy(grace=118 * SECOND), 59 * SECOND),
        (policy(grace=2 * MINUTE), MINUTE),
        (policy(grace=10 * MINUTE), MINUTE),
    ],
)
def test_a_refresh_token_in_doubt_is_sent_again_in_half_its_grace_or_when_nothing_can_land(
    by: Policy, sent_again_after: timedelta
) -> None:
    assert by.lease_end(ATTEMPT) == T0 + MINUTE
    assert by.replay_from(ATTEMPT) == T0 + sent_again_after


@pytest.mark.parametrize(
    ("grace", "honoured_for"),
    [
        (NEVER, NEVER),
        (4 * SECOND, 3 * SECOND),
        (20 * SECOND, 15 * SECOND),
        (24 * SECOND, 19 * SECOND),
        (10 * MINUTE, 595 * SECOND),
    ],
)
def test_a_replay_is_sent_while_it_can_still_arrive_within_the_grace_window(
    grace: timedelta, honoured_for: timedelta
) -> None:
    assert policy(grace=grace).replay_until(T0) == T0 + honoured_for


@pytest.mark.parametrize(
    ("after", "is_in_flight"),
    [
        (-MINUTE, False),
        (-MINUTE + TICK, True),
        (NEVER, True),
        (MINUTE - TICK, True),
        (MINUTE, False),
    ],
)
def test_an_attempt_is_in_flight_for_a_minute_by_a_clock_that_is_ahead_or_behind(
    after: timedelta, *, is_in_flight: bool
) -> None:
    assert POLICY.is_in_flight(ATTEMPT, T0 + after) is is_in_flight


@pytest.mark.parametrize(
    ("ahead", "is_waited_for"),
    [
        (-TICK, False),
        (NEVER, False),
        (TICK, True),
        (61 * MINUTE, True),
        (61 * MINUTE + TICK, False),
    ],
)
def test_checklist_49_what_is_to_come_is_waited_for_unless_no_clock_that_goes_right_could_mean_it(
    ahead: timedelta, *, is_waited_for: bool
) -> None:
    assert POLICY.must_wait(T0 + ahead, T0) is is_waited_for


@pytest.mark.parametrize(
    ("failures", "ceiling"),
    [
        (0, NEVER),
        (1, SECOND),
        (2, 2 * SECOND),
        (3, 4 * SECOND),
        (9, 256 * SECOND),
        (10, 300 * SECOND),
        (2000, 300 * SECOND),
    ],
)
def test_a_backoff_is_between_half_of_its_ceiling_and_all_of_it_as_the_attempts_id_draws(
    failures: int, ceiling: timedelta
) -> None:
    assert POLICY.backoff(failures, ATTEMPT) == ceiling * (1 + DRAWN) / 2
    assert POLICY.backoff(failures, replace(ATTEMPT, id="")) == ceiling / 2


def test_a_backoff_of_tiny_steps_reaches_every_cap_that_thirty_doublings_can() -> None:
    tiny = replace(POLICY, first_backoff=TICK, max_backoff=timedelta(days=1))
    plain = replace(ATTEMPT, id="")
    assert tiny.backoff(30, plain) == TICK * 2**28
    assert tiny.backoff(31, plain) == TICK * 2**29
    assert tiny.backoff(32, plain) == TICK * 2**29
