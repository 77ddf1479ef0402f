"""The mutants, and the promises that the simulation must find broken by each."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import pytest

from tests.simulation import broken_clocks as clocks
from tests.simulation import broken_parts as parts
from tests.simulation import broken_rules as rules
from tests.simulation import broken_table as table
from tests.simulation.clocks import run_clocks
from tests.simulation.promises import Rule
from tests.simulation.provider import KINDS, LONG_GRACE, REFUSING, ROTATING, SHORT_GRACE
from tests.simulation.run import Tally, run_chaos, run_doubt, run_idle, run_revocations


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


MUTANTS = [
    Mutant(
        name="serve, then store",
        apply=parts.serve_before_storing,
        breaks=frozenset({Rule.STORED_FIRST, Rule.COUNTED, Rule.OWN_ANSWER}),
    ),
    Mutant(
        name="send, then store the intent",
        apply=parts.send_before_storing_the_intent,
        breaks=frozenset({Rule.INTENT_FIRST}),
    ),
    Mutant(
        name="second write without looking at the etag",
        apply=parts.write_again_without_looking,
        breaks=frozenset(
            {
                Rule.TOKENS_FORWARD,
                Rule.FORWARD,
                Rule.ONE_ATTEMPT,
                Rule.NOT_IN_CHARGE,
                Rule.BACKOFF,
                Rule.SPARED,
                Rule.APART,
                Rule.COUNTED,
                Rule.NOT_DUE,
                Rule.LOST,
                Rule.DELAYED,
            }
        ),
    ),
    Mutant(
        name="a stalled instance sends",
        apply=parts.send_however_late,
        breaks=frozenset({Rule.SENT_IN_TIME}),
    ),
    Mutant(
        name="a write is given up at once",
        apply=parts.give_up_a_write_at_once,
        breaks=frozenset({Rule.GAVE_UP}),
    ),
    Mutant(
        name="an unreadable record is overwritten",
        apply=parts.overwrite_what_cannot_be_read,
        breaks=frozenset({Rule.OVERWRITTEN}),
    ),
    Mutant(
        name="a ledger starts over",
        apply=parts.begin_the_ledger_anew,
        breaks=frozenset({Rule.LEDGER}),
    ),
    Mutant(
        name="the ledger of the first read is written",
        apply=parts.note_what_was_read_first,
        breaks=frozenset({Rule.LEDGER}),
    ),
    Mutant(
        name="one connection's attempt is taken for another's",
        apply=parts.share_attempts_between_connections,
        breaks=frozenset(
            {
                Rule.MIXED_UP,
                Rule.WRONG_CAUSE,
                Rule.COUNTED,
                Rule.DELAYED,
                Rule.NOT_NEW,
                Rule.EXPIRED,
            }
        ),
    ),
    Mutant(
        name="the sweep reports what waits as refreshed",
        apply=parts.report_what_waits_as_refreshed,
        breaks=frozenset({Rule.COUNTED}),
    ),
    Mutant(
        name="no generation check",
        apply=rules.check_no_generation,
        breaks=frozenset(
            {Rule.TOKENS_FORWARD, Rule.EXPIRED_SENT, Rule.DROPPED, Rule.EXPIRED, Rule.LOST}
        ),
        run=run_doubt,
        kinds=LONG_GRACE,
    ),
    Mutant(
        name="a login begins no new order",
        apply=rules.compare_generations_only,
        breaks=frozenset({Rule.TOKENS_FORWARD, Rule.FORWARD, Rule.DROPPED}),
        run=run_revocations,
        kinds=ROTATING,
    ),
    Mutant(
        name="retry at once after an unknown outcome",
        apply=rules.retry_at_once_after_unknown,
        breaks=frozenset({Rule.FIRST_MAY_LAND, Rule.BACKOFF, Rule.ONE_ATTEMPT}),
        run=run_doubt,
        kinds=ROTATING,
    ),
    Mutant(
        name="drop the late answer",
        apply=rules.drop_the_late_answer,
        breaks=frozenset({Rule.DROPPED, Rule.LOST, Rule.OWN_ANSWER}),
        run=run_doubt,
        kinds=ROTATING,
    ),
    Mutant(
        name="errors heard from anybody",
        apply=rules.hear_errors_from_anybody,
        breaks=frozenset({Rule.NOT_IN_CHARGE}),
        run=run_doubt,
    ),
    Mutant(
        name="no doubt remembered",
        apply=rules.remember_no_doubt,
        breaks=frozenset({Rule.EXPIRED, Rule.ENDED, Rule.EXPIRED_SENT, Rule.SPARED}),
        run=run_doubt,
    ),
    Mutant(
        name="lease shorter than the request's timeout",
        apply=rules.lease_less_than_the_timeout,
        breaks=frozenset({Rule.ONE_ATTEMPT, Rule.OWN_ANSWER, Rule.FIRST_MAY_LAND}),
        run=run_doubt,
    ),
    Mutant(
        name="503 is a final refusal",
        apply=rules.take_503_for_a_verdict,
        breaks=frozenset({Rule.ENDED_WRONGLY, Rule.LOST}),
    ),
    Mutant(
        name="a refusal is forgotten",
        apply=rules.forget_a_verdict,
        breaks=frozenset({Rule.BACKOFF}),
    ),
    Mutant(
        name="a refusal is final at once",
        apply=rules.take_a_verdict_for_final,
        breaks=frozenset({Rule.ENDED_WRONGLY, Rule.LOST, Rule.BACKOFF}),
        kinds=("no-rotation-refuses-early",),
    ),
    Mutant(
        name="a refusal that is not final is retried at once",
        apply=rules.try_again_before_the_end,
        breaks=frozenset({Rule.INSISTED}),
        kinds=REFUSING,
    ),
    Mutant(
        name="a refusal stands for ever",
        apply=rules.have_a_verdict_stand_for_ever,
        breaks=frozenset({Rule.RECOVERS}),
        kinds=("no-rotation-refuses-for-minutes",),
    ),
    Mutant(
        name="no backoff",
        apply=rules.do_not_back_off,
        breaks=frozenset({Rule.BACKOFF}),
    ),
    Mutant(
        name="Retry-After is ignored",
        apply=rules.ignore_retry_after,
        breaks=frozenset({Rule.BACKOFF}),
    ),
    Mutant(
        name="a grace window passes unused",
        apply=rules.let_a_grace_window_pass,
        breaks=frozenset({Rule.GRACE}),
        run=run_doubt,
        kinds=("short-repeats", "short-overlap"),
    ),
    Mutant(
        name="a grace window has no end",
        apply=rules.take_grace_for_endless,
        breaks=frozenset({Rule.FIRST_MAY_LAND, Rule.SPARED}),
        run=run_doubt,
        kinds=SHORT_GRACE,
    ),
    Mutant(
        name="an expired refresh token is sent",
        apply=rules.send_what_has_expired,
        breaks=frozenset({Rule.EXPIRED_SENT}),
    ),
    Mutant(
        name="a requested refresh comes right after another",
        apply=rules.refresh_again_at_once,
        breaks=frozenset({Rule.APART}),
    ),
    Mutant(
        name="a requested refresh does not back off",
        apply=rules.refresh_without_backing_off,
        breaks=frozenset({Rule.BACKOFF, Rule.FIRST_MAY_LAND, Rule.EXPIRED_SENT}),
        run=run_doubt,
    ),
    Mutant(
        name="the sweep spares nobody",
        apply=rules.answer_every_sweep_with(rules.whatever_is_due),
        breaks=frozenset({Rule.SPARED}),
        run=run_doubt,
    ),
    Mutant(
        name="the sweep refreshes every connection that the store names",
        apply=rules.answer_every_sweep_with(rules.everything),
        breaks=frozenset({Rule.NOT_DUE, Rule.SPARED}),
    ),
    Mutant(
        name="the sweep forgets an attempt that was left",
        apply=rules.forget_a_lapsed_attempt,
        breaks=frozenset({Rule.DIED_IDLE}),
        run=run_idle,
        kinds=ROTATING,
    ),
    Mutant(
        name="DynamoDB: a write is its own conflict",
        apply=table.take_own_writes_for_conflicts,
        breaks=frozenset({Rule.OWN_WRITE}),
        run=partial(run_chaos, store="dynamodb"),
    ),
    Mutant(
        name="DynamoDB: a write has no condition",
        apply=table.write_without_a_condition,
        breaks=frozenset(
            {
                Rule.ONE_ATTEMPT,
                Rule.TOKENS_FORWARD,
                Rule.FORWARD,
                Rule.NOT_IN_CHARGE,
                Rule.BACKOFF,
                Rule.OVERWRITTEN,
                Rule.LEDGER,
            }
        ),
        run=partial(run_doubt, store="dynamodb"),
        kinds=ROTATING,
    ),
    Mutant(
        name="tokens that arrive after a revocation are kept",
        apply=rules.keep_what_was_revoked,
        breaks=frozenset({Rule.RESURRECTED}),
        run=run_revocations,
    ),
    Mutant(
        name="a revocation is answered, and changes nothing",
        apply=rules.revoke_nothing,
        breaks=frozenset({Rule.RESURRECTED}),
        run=run_revocations,
    ),
    Mutant(
        name="logins are in the order of their clocks",
        apply=clocks.order_logins_by_their_clocks,
        breaks=frozenset({Rule.TAKEN}),
        run=run_clocks,
    ),
    Mutant(
        name="a login that was begun before a revocation is finished",
        apply=clocks.finish_what_was_begun_before,
        breaks=frozenset({Rule.RESURRECTED}),
        run=run_clocks,
    ),
    Mutant(
        name="a date of a clock ahead is believed",
        apply=clocks.believe_what_is_ahead,
        breaks=frozenset({Rule.EXPIRED, Rule.NOT_NEW, Rule.DIED_IDLE}),
        run=run_clocks,
    ),
    Mutant(
        name="a date of a clock behind is believed",
        apply=clocks.believe_what_is_behind,
        breaks=frozenset({Rule.LOST}),
        run=run_clocks,
    ),
    Mutant(
        name="the sweep asks for nothing that is dated ahead",
        apply=clocks.ask_for_nothing_later,
        breaks=frozenset({Rule.DIED_IDLE}),
        run=run_clocks,
        kinds=ROTATING,
    ),
    Mutant(
        name="DynamoDB: a read may be old",
        apply=table.read_what_may_be_old,
        breaks=frozenset({Rule.DELAYED, Rule.COUNTED, Rule.LOST, Rule.WRONG_CAUSE}),
        run=partial(run_doubt, store="dynamodb"),
    ),
    Mutant(
        name="DynamoDB: the index is taken for the truth",
        apply=table.believe_the_index,
        breaks=frozenset({Rule.NOT_DUE, Rule.SPARED}),
        run=partial(run_doubt, store="dynamodb"),
    ),
    Mutant(
        name="DynamoDB: grants are left out of the index",
        apply=table.leave_grants_out_of_the_index,
        breaks=frozenset({Rule.DIED_IDLE}),
        run=partial(run_idle, store="dynamodb"),
        kinds=ROTATING,
    ),
]
