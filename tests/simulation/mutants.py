"""The mutants, and the promises that the simulation must find broken by each."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest

from tests.simulation import broken_adopting as adopting
from tests.simulation import broken_alerts as alerts
from tests.simulation import broken_clocks as clocks
from tests.simulation import broken_own as own
from tests.simulation import broken_parts as parts
from tests.simulation import broken_rejections as rejections
from tests.simulation import broken_rules as rules
from tests.simulation import broken_servers as servers
from tests.simulation import broken_sweeps as sweeps
from tests.simulation import broken_table as table
from tests.simulation.alert_stories import run_alerts
from tests.simulation.alert_world import ALERT_KINDS
from tests.simulation.clocks import run_clocks
from tests.simulation.own_tokens import run_own
from tests.simulation.own_world import OWN_KINDS
from tests.simulation.promises import Rule
from tests.simulation.provider import (
    KEPT_IDLE,
    KINDS,
    LONG_GRACE,
    REFUSING,
    ROTATING,
    SHORT_GRACE,
    UNTIL_USED,
)
from tests.simulation.run import (
    Tally,
    run_adoptions,
    run_chaos,
    run_doubt,
    run_idle,
    run_left,
    run_refusals,
    run_revocations,
)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A broken rule, and the promises of which at least one must break.

    `run` is the story that shows it, and `kinds` are the providers that it concerns.
    """

    name: str
    apply: Callable[[pytest.MonkeyPatch], None]
    breaks: frozenset[Rule]
    run: Callable[[str, int], Tally] = run_chaos
    kinds: Collection[str] = tuple(KINDS)


def _mutant(
    name: str,
    apply: Callable[[pytest.MonkeyPatch], None],
    breaks: set[Rule],
    *,
    run: Callable[[str, int], Tally] = run_chaos,
    kinds: Collection[str] = tuple(KINDS),
) -> Mutant:
    return Mutant(name=name, apply=apply, breaks=frozenset(breaks), run=run, kinds=kinds)


def _of_alerts(
    name: str,
    apply: Callable[[pytest.MonkeyPatch], None],
    breaks: set[Rule],
    *,
    story: str = "ordinary",
    kinds: Collection[str] = tuple(ALERT_KINDS),
) -> Mutant:
    run = partial(run_alerts, story=story)
    return _mutant(f"alerts: {name}", apply, breaks, run=run, kinds=kinds)


_LEFT = {Rule.ALERT_GIVEN_UP, Rule.ALERT_LOST}
_UNCONDITIONAL = {
    *(Rule.ONE_ATTEMPT, Rule.TOKENS_FORWARD, Rule.FORWARD, Rule.NOT_IN_CHARGE),
    *(Rule.BACKOFF, Rule.OVERWRITTEN, Rule.LEDGER),
}

MUTANTS = [
    _mutant(
        "serve, then store",
        parts.serve_before_storing,
        {Rule.STORED_FIRST, Rule.COUNTED, Rule.OWN_ANSWER},
    ),
    _mutant(
        "send, then store the intent", parts.send_before_storing_the_intent, {Rule.INTENT_FIRST}
    ),
    _mutant(
        "second write without looking at the etag",
        parts.write_again_without_looking,
        {
            *(Rule.TOKENS_FORWARD, Rule.FORWARD, Rule.ONE_ATTEMPT, Rule.NOT_IN_CHARGE),
            *(Rule.BACKOFF, Rule.SPARED, Rule.APART, Rule.COUNTED, Rule.NOT_DUE, Rule.LOST),
            Rule.DELAYED,
        },
    ),
    _mutant("a stalled instance sends", parts.send_however_late, {Rule.SENT_IN_TIME}),
    _mutant("a write is given up at once", parts.give_up_a_write_at_once, {Rule.GAVE_UP}),
    _mutant(
        "an unreadable record is overwritten",
        parts.overwrite_what_cannot_be_read,
        {Rule.OVERWRITTEN},
    ),
    _mutant("a ledger starts over", parts.begin_the_ledger_anew, {Rule.LEDGER}),
    _mutant(
        "the ledger of the first read is written", parts.note_what_was_read_first, {Rule.LEDGER}
    ),
    _mutant(
        "one connection's attempt is taken for another's",
        parts.share_attempts_between_connections,
        {
            *(Rule.MIXED_UP, Rule.WRONG_CAUSE, Rule.COUNTED, Rule.DELAYED, Rule.NOT_NEW),
            Rule.EXPIRED,
        },
    ),
    _mutant(
        "the sweep reports what waits as refreshed",
        parts.report_what_waits_as_refreshed,
        {Rule.COUNTED},
    ),
    _mutant(
        "no generation check",
        rules.check_no_generation,
        {Rule.TOKENS_FORWARD, Rule.EXPIRED_SENT, Rule.DROPPED, Rule.EXPIRED, Rule.LOST},
        run=run_doubt,
        kinds=LONG_GRACE,
    ),
    _mutant(
        "a login begins no new order",
        rules.compare_generations_only,
        {Rule.TOKENS_FORWARD, Rule.FORWARD, Rule.DROPPED},
        run=run_revocations,
        kinds=ROTATING,
    ),
    _mutant(
        "retry at once after an unknown outcome",
        rules.retry_at_once_after_unknown,
        {Rule.FIRST_MAY_LAND, Rule.BACKOFF, Rule.ONE_ATTEMPT},
        run=run_doubt,
        kinds=ROTATING,
    ),
    _mutant(
        "drop the late answer",
        rules.drop_the_late_answer,
        {Rule.DROPPED, Rule.LOST, Rule.OWN_ANSWER},
        run=run_doubt,
        kinds=ROTATING,
    ),
    _mutant(
        "errors heard from anybody",
        rules.hear_errors_from_anybody,
        {Rule.NOT_IN_CHARGE},
        run=run_doubt,
    ),
    _mutant(
        "no doubt remembered",
        rules.remember_no_doubt,
        {Rule.EXPIRED, Rule.ENDED, Rule.EXPIRED_SENT, Rule.SPARED},
        run=run_doubt,
    ),
    _mutant(
        "lease shorter than the request's timeout",
        rules.lease_less_than_the_timeout,
        {Rule.ONE_ATTEMPT, Rule.OWN_ANSWER, Rule.FIRST_MAY_LAND},
        run=run_doubt,
    ),
    _mutant(
        "503 is a final refusal", rules.take_503_for_a_verdict, {Rule.ENDED_WRONGLY, Rule.LOST}
    ),
    _mutant("a refusal is forgotten", rules.forget_a_verdict, {Rule.BACKOFF}),
    _mutant(
        "a refusal is final at once",
        rules.take_a_verdict_for_final,
        {Rule.ENDED_WRONGLY, Rule.LOST, Rule.BACKOFF},
        kinds=("no-rotation-refuses-early",),
    ),
    _mutant(
        "a refusal that is not final is retried at once",
        rules.try_again_before_the_end,
        {Rule.INSISTED},
        kinds=REFUSING,
    ),
    _mutant(
        "a refusal stands for ever",
        rules.have_a_verdict_stand_for_ever,
        {Rule.RECOVERS},
        kinds=("no-rotation-refuses-for-minutes",),
    ),
    _mutant("no backoff", rules.do_not_back_off, {Rule.BACKOFF}),
    _mutant("Retry-After is ignored", rules.ignore_retry_after, {Rule.BACKOFF}),
    _mutant(
        "a grace window passes unused",
        rules.let_a_grace_window_pass,
        {Rule.GRACE},
        run=run_doubt,
        kinds=("short-repeats", "short-overlap"),
    ),
    _mutant(
        "a grace window has no end",
        rules.take_grace_for_endless,
        {Rule.FIRST_MAY_LAND, Rule.SPARED},
        run=run_doubt,
        kinds=SHORT_GRACE,
    ),
    _mutant(
        "tokens are served that the store refused, although their use closes the window",
        rules.serve_what_is_not_stored,
        {Rule.STORED_FIRST, Rule.SPENT},
        kinds=UNTIL_USED,
    ),
    _mutant(
        "two requests overlap in a window that lasts until use",
        rules.overlap_until_used,
        {Rule.FIRST_MAY_LAND},
        run=run_doubt,
        kinds=("short-until-used",),
    ),
    _mutant(
        "a refresh is requested too early",
        rules.refresh_too_early,
        {Rule.TOO_EARLY},
        kinds=("early-declared",),
    ),
    _mutant(
        "the rest of a token is not served before it can be refreshed",
        rules.keep_the_rest_of_a_token,
        {Rule.DELAYED},
        kinds=("early-declared",),
    ),
    _mutant(
        "the end of a login is forgotten",
        rules.forget_the_end_of_the_login,
        {Rule.EXPIRED_SENT},
        run=run_idle,
        kinds=("login-ends",),
    ),
    _mutant(
        "the sweep refreshes what no refresh extends",
        rules.keep_alive_what_no_refresh_extends,
        {Rule.NOT_DUE},
        run=run_idle,
        kinds=("login-ends",),
    ),
    _mutant("an expired refresh token is sent", rules.send_what_has_expired, {Rule.EXPIRED_SENT}),
    _mutant(
        "a requested refresh comes right after another", rules.refresh_again_at_once, {Rule.APART}
    ),
    _mutant(
        "a requested refresh does not back off",
        rules.refresh_without_backing_off,
        {Rule.BACKOFF, Rule.FIRST_MAY_LAND, Rule.EXPIRED_SENT},
        run=run_doubt,
    ),
    _mutant(
        "the sweep spares nobody",
        rules.answer_every_sweep_with(rules.only_when_due),
        {Rule.SPARED},
        run=run_doubt,
    ),
    _mutant(
        "the sweep refreshes every connection that the store names",
        rules.answer_every_sweep_with(rules.everything),
        {Rule.NOT_DUE, Rule.SPARED},
    ),
    _mutant(
        "the sweep forgets an attempt that was left",
        rules.forget_a_lapsed_attempt,
        {Rule.DIED_IDLE},
        run=run_idle,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "the sweep leaves the connections of other clients",
        sweeps.count_all_clients_together,
        {Rule.STARVED},
        run=run_left,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "the sweep asks for each connection while the provider is away",
        sweeps.leave_nobody,
        {Rule.ASKED_WHILE_AWAY},
        run=run_left,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "each sweep leaves what an earlier one has left",
        sweeps.leave_a_client_for_ever,
        {Rule.DIED_IDLE},
        run=run_left,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "the sweep waits for each request that hangs",
        sweeps.wait_for_each_that_hangs,
        {Rule.ASKED_WHILE_AWAY},
        run=run_left,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "accounts that fail for good keep the sweep from others",
        sweeps.count_repeated_failures,
        {Rule.DIED_IDLE},
        run=run_left,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "DynamoDB: a write is its own conflict",
        table.take_own_writes_for_conflicts,
        {Rule.OWN_WRITE},
        run=partial(run_chaos, store="dynamodb"),
    ),
    _mutant(
        "DynamoDB: a write has no condition",
        table.write_without_a_condition,
        _UNCONDITIONAL,
        run=partial(run_doubt, store="dynamodb"),
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "Redis: a write is its own conflict",
        servers.take_own_writes_of_redis_for_conflicts,
        {Rule.OWN_WRITE},
        run=partial(run_chaos, store="redis"),
    ),
    _mutant(
        "Redis: a write has no condition",
        servers.write_to_redis_without_a_condition,
        _UNCONDITIONAL,
        run=partial(run_doubt, store="redis"),
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "Postgres: a write has no condition",
        servers.write_to_postgres_without_a_condition,
        _UNCONDITIONAL,
        run=partial(run_doubt, store="postgres"),
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "Postgres: a refresh removes the date",
        servers.forget_the_date_in_postgres,
        {Rule.DIED_IDLE},
        run=partial(run_idle, store="postgres"),
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "tokens that arrive after a revocation are kept",
        rules.keep_what_was_revoked,
        {Rule.RESURRECTED},
        run=run_revocations,
    ),
    _mutant(
        "a revocation is answered, and changes nothing",
        rules.revoke_nothing,
        {Rule.RESURRECTED},
        run=run_revocations,
    ),
    _mutant(
        "logins are in the order of their clocks",
        clocks.order_logins_by_their_clocks,
        {Rule.TAKEN},
        run=run_clocks,
    ),
    _mutant(
        "a login that was begun before a revocation is finished",
        clocks.finish_what_was_begun_before,
        {Rule.RESURRECTED},
        run=run_clocks,
    ),
    _mutant(
        "a date of a clock ahead is believed",
        clocks.believe_what_is_ahead,
        {Rule.EXPIRED, Rule.NOT_NEW, Rule.DIED_IDLE},
        run=run_clocks,
    ),
    _mutant(
        "a date of a clock behind is believed",
        clocks.believe_what_is_behind,
        {Rule.LOST},
        run=run_clocks,
    ),
    _mutant(
        "the sweep asks for nothing that is dated ahead",
        clocks.ask_for_nothing_later,
        {Rule.DIED_IDLE},
        run=run_clocks,
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "DynamoDB: a read may be old",
        table.read_what_may_be_old,
        {Rule.DELAYED, Rule.COUNTED, Rule.LOST, Rule.WRONG_CAUSE},
        run=partial(run_doubt, store="dynamodb"),
    ),
    _mutant(
        "DynamoDB: the index is taken for the truth",
        table.believe_the_index,
        {Rule.NOT_DUE, Rule.SPARED},
        run=partial(run_doubt, store="dynamodb"),
    ),
    _mutant(
        "DynamoDB: grants are left out of the index",
        table.leave_grants_out_of_the_index,
        {Rule.DIED_IDLE},
        run=partial(run_idle, store="dynamodb"),
        kinds=KEPT_IDLE,
    ),
    _mutant(
        "a refused token is served to the program that named it",
        rejections.serve_what_was_refused,
        {Rule.REFUSED_SERVED},
        run=run_refusals,
    ),
    _mutant(
        "every refused token is replaced at once",
        rejections.replace_every_refused_token_at_once,
        {Rule.REFUSED_OFTEN},
        run=run_refusals,
    ),
    _mutant(
        "the wait for another token does not double",
        rejections.wait_no_longer_than_at_first,
        {Rule.REFUSED_OFTEN},
        run=run_refusals,
    ),
    _mutant(
        "without rotation, a refused token and its replacement have the same number",
        rejections.count_new_refresh_tokens_only,
        {Rule.REFUSED_OFTEN, Rule.REFUSED_SERVED},
        run=run_refusals,
        kinds=("no-rotation",),
    ),
    _mutant(
        "the wait for another token is too long",
        rejections.wait_for_ever,
        {Rule.REFUSED_WAITS},
        run=run_refusals,
    ),
    _mutant(
        "client credentials: a login is asked for",
        own.ask_for_a_login,
        {Rule.LOST},
        run=run_own,
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: lease shorter than the request's timeout",
        rules.lease_less_than_the_timeout,
        {Rule.ONE_ATTEMPT},
        run=run_own,
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: a first request does not back off",
        own.do_not_back_off_at_first,
        {Rule.BACKOFF},
        run=partial(run_own, story="outage"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: a request does not wait for a revocation",
        own.do_not_wait_for_a_revocation,
        {Rule.RESURRECTED},
        run=run_own,
        kinds=("own-repeats",),
    ),
    _mutant(
        "client credentials: a request is repeated although it ends the old token",
        own.take_a_replay_for_harmless,
        {Rule.ENDED},
        run=run_own,
        kinds=("own-ends",),
    ),
    _mutant(
        "client credentials: a refused token is served to the program that named it",
        rejections.serve_what_was_refused,
        {Rule.REFUSED_SERVED},
        run=partial(run_own, story="refusals"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: every refused token is replaced at once",
        rejections.replace_every_refused_token_at_once,
        {Rule.REFUSED_OFTEN},
        run=partial(run_own, story="refusals"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: the wait for another token does not double",
        rejections.wait_no_longer_than_at_first,
        {Rule.REFUSED_OFTEN},
        run=partial(run_own, story="refusals"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: a refused token and its replacement have the same number",
        rejections.count_new_refresh_tokens_only,
        {Rule.REFUSED_OFTEN, Rule.REFUSED_SERVED},
        run=partial(run_own, story="refusals"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "client credentials: the wait for another token is too long",
        rejections.wait_for_ever,
        {Rule.REFUSED_WAITS},
        run=partial(run_own, story="refusals"),
        kinds=OWN_KINDS,
    ),
    _mutant(
        "tokens are adopted over a grant that works",
        adopting.adopt_over_what_works,
        {Rule.ADOPTED_OVER},
        run=run_adoptions,
    ),
    _mutant(
        "tokens are adopted without a proof",
        adopting.adopt_without_a_proof,
        {Rule.UNPROVEN},
        run=run_adoptions,
    ),
    _mutant(
        "an adoption forgets the earlier grant",
        adopting.forget_the_earlier_grant,
        {Rule.NOT_KEPT},
        run=run_adoptions,
    ),
    _mutant(
        "tokens are adopted while an attempt is in flight",
        adopting.adopt_while_an_attempt_is_in_flight,
        {Rule.ONE_ATTEMPT},
        run=run_adoptions,
    ),
    _mutant(
        "tokens of another account are adopted",
        adopting.compare_no_accounts,
        {Rule.OTHER_ACCOUNT},
        run=run_adoptions,
    ),
    _mutant(
        "a proof that names another account is taken",
        adopting.compare_no_accounts_of_a_proof,
        {Rule.OTHER_ACCOUNT},
        run=run_adoptions,
        kinds=ROTATING,
    ),
    _mutant(
        "a token that was adopted is adopted again",
        adopting.forget_what_was_adopted,
        {Rule.TOKENS_FORWARD, Rule.ADOPTION_ANSWER, Rule.ADOPTED_OVER},
        run=run_adoptions,
    ),
    _mutant(
        "a token that the waiting earlier grant came from is adopted again",
        adopting.forget_what_the_earlier_grant_came_from,
        {Rule.TOKENS_FORWARD},
        run=run_adoptions,
    ),
    _mutant(
        "a failure of a proof is taken for a refusal",
        adopting.take_a_failure_for_a_refusal,
        {Rule.ENDED_WRONGLY},
        run=run_adoptions,
    ),
    _mutant(
        "tokens that were refused take the place of the earlier grant",
        adopting.keep_what_was_refused,
        {Rule.NOT_KEPT},
        run=run_adoptions,
        kinds=ROTATING,
    ),
    _mutant(
        "the sweep leaves a proof to programs",
        adopting.leave_the_proof_to_programs,
        {Rule.NOT_PROVEN},
        run=run_adoptions,
    ),
    _mutant(
        "the earlier token is not served before the proof",
        adopting.serve_nothing_before_the_proof,
        {Rule.DELAYED},
        run=run_adoptions,
    ),
    _of_alerts(
        "a change is stored without its alert",
        alerts.owe_nothing_with_the_change,
        {Rule.ALERT_MISSING},
    ),
    _of_alerts(
        "the states that people heard of are forgotten",
        alerts.forget_the_conditions,
        {Rule.ALERT_FALSE, Rule.ALERT_MISSING},
    ),
    _of_alerts("a state has no end", alerts.close_no_condition, {Rule.ALERT_MISSING}),
    _of_alerts(
        "a request in flight is taken for a recovery",
        alerts.recover_while_a_request_is_in_flight,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts(
        "another failure is taken for a recovery",
        alerts.recover_by_another_failure,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts(
        "a revocation is reported as a recovery",
        alerts.report_a_revocation_as_a_recovery,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts(
        "other trouble is reported as a recovery",
        alerts.report_each_change_of_trouble_as_a_recovery,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts(
        "a refused client is taken for an outage",
        alerts.take_a_refused_client_for_an_outage,
        {Rule.ALERT_MISSING},
    ),
    _of_alerts(
        "a login is asked for after the final refusal only",
        alerts.wait_for_the_final_refusal,
        {Rule.ALERT_MISSING},
    ),
    _of_alerts(
        "a login is asked for after a revocation",
        alerts.ask_for_a_login_after_a_revocation,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts(
        "each look repeats a threshold",
        alerts.repeat_each_threshold,
        {Rule.ALERT_FALSE},
        story="idle",
        kinds=("login-ends",),
    ),
    _of_alerts(
        "of several thresholds the longest stays",
        alerts.stay_at_the_longest_threshold,
        {Rule.ALERT_MISSING},
        story="idle",
        kinds=("login-ends",),
    ),
    _of_alerts(
        "each refresh is expected to prolong the login",
        alerts.expect_each_refresh_to_prolong_the_login,
        {Rule.ALERT_MISSING},
        story="idle",
        kinds=("fixed",),
    ),
    _of_alerts(
        "each expiry is taken for the end of the login",
        alerts.take_each_expiry_for_the_end_of_the_login,
        {Rule.ALERT_FALSE},
        story="idle",
        kinds=("rotating",),
    ),
    _of_alerts(
        "the sweep does not look again",
        alerts.check_nothing_later,
        {Rule.ALERT_MISSING},
        story="idle",
        kinds=("login-ends",),
    ),
    _of_alerts(
        "the sweep waits for the last third of a login",
        alerts.ask_nothing_before_a_threshold,
        {Rule.ALERT_MISSING},
        story="idle",
        kinds=("fixed",),
    ),
    _of_alerts(
        "the first failure counts as a long one",
        alerts.call_the_first_failure_long,
        {Rule.ALERT_FALSE},
    ),
    _of_alerts("another account is not reported", alerts.compare_no_accounts, {Rule.ALERT_MISSING}),
    _of_alerts(
        "a lost record is put back in silence",
        alerts.put_back_in_silence,
        {Rule.ALERT_MISSING},
        story="lost",
    ),
    _of_alerts(
        "tokens are rescued in silence",
        alerts.rescue_in_silence,
        {Rule.ALERT_MISSING},
        story="danger",
    ),
    _of_alerts(
        "an alert is sent, then stored",
        alerts.send_before_storing,
        {Rule.ALERT_UNSTORED},
    ),
    _of_alerts(
        "the outbox has room for three alerts",
        alerts.drop_what_has_little_room,
        {Rule.ALERT_GIVEN_UP},
        story="away",
    ),
    _of_alerts(
        "the writer of a change does not deliver",
        alerts.leave_the_claim_to_the_sweep,
        {Rule.ALERT_LATE},
    ),
    _of_alerts(
        "an instance without the claim delivers",
        alerts.deliver_after_each_write,
        {Rule.ALERT_REPEATED},
    ),
    _of_alerts(
        "adopted tokens are judged before their proof",
        alerts.judge_adopted_tokens_before_their_proof,
        {Rule.ALERT_FALSE, Rule.ALERT_MISSING},
        story="adopted",
    ),
    _of_alerts(
        "the accounts of tokens without a proof are compared",
        alerts.compare_the_accounts_of_unproven_tokens,
        {Rule.ALERT_FALSE},
        story="adopted",
    ),
    _of_alerts(
        "nobody notices that sweeps are missing",
        alerts.watch_no_sweep,
        {Rule.ALERT_MISSING},
        story="unswept",
    ),
    _of_alerts(
        "each look repeats that the sweep is overdue",
        alerts.repeat_that_the_sweep_is_overdue,
        {Rule.ALERT_FALSE},
        story="unswept",
    ),
    _of_alerts(
        "a sweep is overdue before its time",
        alerts.report_a_sweep_after_a_day,
        {Rule.ALERT_FALSE},
        story="unswept",
    ),
    _of_alerts(
        "the alert of the deployment is not delivered",
        alerts.deliver_nothing_of_the_deployment,
        {Rule.ALERT_LOST},
        story="unswept",
    ),
    _of_alerts(
        "a channel that is away delays the alert of the deployment",
        alerts.wait_for_the_channel_that_is_away,
        {Rule.ALERT_LATE},
        story="unswept",
    ),
    _of_alerts(
        "the first sweep with alerts looks at no connection",
        alerts.walk_through_nothing,
        {Rule.ALERT_MISSING},
        story="switched-on",
    ),
    _of_alerts(
        "the claim of another instance is ignored",
        alerts.ignore_the_claim,
        {Rule.ALERT_REPEATED, Rule.ALERT_HURRIED},
    ),
    _of_alerts(
        "the claim of a crashed instance lasts for ever",
        alerts.let_a_claim_last_for_ever,
        {Rule.ALERT_LOST},
        story="danger",
    ),
    _of_alerts(
        "the store does not know when to try again",
        alerts.forget_the_next_try,
        {Rule.ALERT_LOST, Rule.ALERT_INSISTED},
        story="away",
    ),
    _of_alerts(
        "the sweep delivers nothing",
        alerts.leave_deliveries_to_the_writer,
        {Rule.ALERT_LOST, Rule.ALERT_INSISTED, Rule.ALERT_MISSING, Rule.ALERT_KEPT},
        story="danger",
    ),
    _of_alerts(
        "a caller waits for the channels",
        alerts.deliver_before_the_answer,
        {Rule.ANSWERED},
        story="away",
    ),
    _of_alerts(
        "an alert is marked, then sent",
        alerts.mark_before_sending,
        {*_LEFT, Rule.ALERT_REPEATED},
        story="danger",
    ),
    _of_alerts(
        "the newest alert is sent first",
        alerts.send_the_newest_first,
        {Rule.ALERT_ORDER},
        story="danger",
    ),
    _of_alerts(
        "a channel that failed gets the next alert",
        alerts.go_on_after_a_failure,
        {Rule.ALERT_ORDER},
        story="danger",
    ),
    _of_alerts(
        "each try has another id", alerts.change_the_id_with_each_try, {Rule.ALERT_UNSTORED}
    ),
    _of_alerts(
        "a channel that hangs delays the others",
        alerts.ask_one_channel_after_the_other,
        {Rule.ALERT_LATE, Rule.ALERT_LOST},
        story="away",
    ),
    _of_alerts(
        "a send has no limit",
        alerts.wait_for_an_answer_for_ever,
        {Rule.ALERT_REPEATED, Rule.ALERT_LATE, Rule.ALERT_LOST},
        story="away",
    ),
    _of_alerts(
        "an unexpected error of a channel ends the round of all",
        alerts.stop_at_an_unexpected_error,
        {Rule.ALERT_REPEATED, Rule.ALERT_LATE, Rule.ALERT_LOST},
        story="danger",
    ),
    _of_alerts(
        "a channel that is gone is asked again",
        alerts.ask_what_is_gone,
        {Rule.ALERT_GONE},
        story="gone",
    ),
    _of_alerts(
        "one channel takes an alert for all",
        alerts.take_one_channel_for_all,
        {Rule.ALERT_GIVEN_UP},
        story="away",
    ),
    _of_alerts(
        "the failure of one channel drops an alert for all",
        alerts.drop_for_all_what_one_refused,
        {Rule.ALERT_GIVEN_UP},
        story="away",
    ),
    _of_alerts(
        "a delivery is not marked",
        alerts.mark_nothing,
        {Rule.ALERT_REPEATED},
    ),
    _of_alerts(
        "an alert is given up after a day",
        alerts.give_up(timedelta(days=1)),
        {Rule.ALERT_GIVEN_UP},
        story="away",
    ),
    _of_alerts(
        "an alert is never given up",
        alerts.give_up(timedelta(days=365)),
        {Rule.ALERT_INSISTED, Rule.ALERT_HURRIED},
        story="away",
    ),
    _of_alerts(
        "an alert is given up in silence",
        alerts.give_up_in_silence,
        {Rule.ALERT_GIVEN_UP},
        story="away",
    ),
    _of_alerts(
        "a conflict empties the outbox",
        alerts.reset_the_book_on_a_conflict,
        {*_LEFT, Rule.ALERT_MISSING, Rule.ALERT_FALSE, Rule.ALERT_REPEATED},
    ),
    _of_alerts(
        "a delivery is marked over newer alerts",
        alerts.write_over_newer_alerts,
        {*_LEFT, Rule.ALERT_MISSING, Rule.ALERT_FALSE, Rule.ALERT_REPEATED},
        story="away",
    ),
    _of_alerts(
        "a channel that fails is asked every second",
        alerts.wait_a_second_between_tries,
        {Rule.ALERT_HURRIED},
        story="away",
    ),
]
