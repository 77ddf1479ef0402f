"""Judges the answers that the programs and sweeps of one connection get."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.commands import (
    Answer,
    AskForAuthorization,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    Serve,
    TryLater,
    Wait,
)
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Inactive,
)
from functions.refresh.keeper import QuestionResult
from functions.refresh.sweep_outcomes import SweepOutcome
from tests.simulation.exchanges import Call, Exchange, RequestKind
from tests.simulation.history import History
from tests.simulation.instance import Instance
from tests.simulation.promises import (
    EARLY_PART,
    LEASE,
    LONGEST_REJECTION_WAIT,
    MIN_REFRESH_INTERVAL,
    REFRESHED_EARLY,
    SEND_WITHIN,
    SKEW,
    BrokenRuleError,
    Rule,
)

USUAL_MIN_TTL = timedelta(seconds=60)
# A read, and two writes where a refresh starts, of a store that works.
AT_ONCE = timedelta(seconds=2)


@dataclass(kw_only=True)
class AnswerJudge:
    """Judges each answer about one connection."""

    history: History
    false_alarms: int = 0
    is_lost: bool = False
    is_alarmed: bool = False
    # When another login last waited for the proof of its tokens: this one was not refreshed.
    aside_at: datetime | None = None

    def answered(self, call: Call, answer: Answer, now: datetime) -> bool:
        """Judge an answer; return whether a login is really required."""
        match answer:
            case Serve():
                self._judge_token(call, answer, now)
            case AskForAuthorization():
                return self._judge_refusal(call, answer, now)
            case TryLater(failure=failure):
                asks = {RequestKind.REFRESH, RequestKind.REJECTION}
                if failure is None and call.kind not in asks:
                    raise BrokenRuleError(Rule.DELAYED, "the rest of a token is not served")
                self._judge_delay(call, now)
            case RejectedAgain():
                self._judge_rejection(call)
            case NothingDue() if call.kind is not RequestKind.SWEEP:
                raise BrokenRuleError(Rule.RAISED, "the sweep's answer to a program")
            case ReportMoved():
                raise BrokenRuleError(Rule.RAISED, "nothing was handed over")
            case NothingDue() | Wait():
                pass
        return False

    # Tokens.

    def _judge_token(self, call: Call, answer: Serve, now: datetime) -> None:
        history, token = self.history, answer.tokens.access_token
        self._judge_origin(call, token)
        if history.is_used_elsewhere:
            # It may have been issued to the other program, earlier.
            return
        left = history.provider.access_expires_at[token] - now
        demanded = min(call.min_ttl, history.provider.access_life / 2)
        is_refused = token in history.refused or history.provider.has_refused
        is_refused |= _was_refused_just_now(call, answer, history)
        if is_refused and call.min_ttl <= USUAL_MIN_TTL:
            demanded = timedelta(0)
        if (within := history.policy.provider.refresh_only_within) is not None:
            demanded = min(demanded, within - SEND_WITHIN)
        if left <= demanded - 2 * SKEW:
            raise BrokenRuleError(Rule.EXPIRED, f"{token} has {left}, not {demanded}")
        if left < min(REFRESHED_EARLY, history.provider.access_life / EARLY_PART) - 2 * SKEW:
            self._judge_delay(call, now)
        self._judge_news(call, answer)
        ended_at = history.provider.ended_at.get(token)
        if history.kind.ends_access_token and ended_at and ended_at < call.read_from:
            self._judge_ended(token)

    def _judge_origin(self, call: Call, token: str) -> None:
        """Judge whether this call may get this token, apart from its expiry."""
        history = self.history
        if call.refused is not None and token == call.refused.access_token:
            raise BrokenRuleError(Rule.REFUSED_SERVED, token)
        # An instance serves the tokens that the store refused: it cannot know of the revocation.
        if history.is_revoked_for(call.read_from) and not history.is_rescued(token):
            raise BrokenRuleError(Rule.RESURRECTED, f"{token} is served")
        if token not in history.provider.access_expires_at:
            raise BrokenRuleError(Rule.MIXED_UP, f"{token} is served")
        may_be_rescued = not history.kind.rules.until_used
        if not history.had(token) and not (may_be_rescued and history.is_rescued(token)):
            raise BrokenRuleError(Rule.STORED_FIRST, token)

    def _judge_news(self, call: Call, answer: Serve) -> None:
        is_old = answer.tokens.issued_at < call.began_at - MIN_REFRESH_INTERVAL - 2 * SKEW
        if call.kind is RequestKind.REFRESH and is_old:
            raise BrokenRuleError(Rule.NOT_NEW, answer.tokens.access_token)

    def _judge_ended(self, access_token: str) -> None:
        """Judge a token that a refresh has ended, unless the refresh landed after its lease.

        A login ends it as well, before the login is stored.
        """
        is_login_on_its_way = self.history.login_token is not None
        is_late = any(exchange.lands_after_lease for exchange in self.history.exchanges)
        if not (is_late or is_login_on_its_way or self.history.is_used_elsewhere):
            raise BrokenRuleError(Rule.ENDED, access_token)

    def _judge_delay(self, call: Call, now: datetime) -> None:
        """Judge whether a caller within a grace window makes use of it."""
        history, grace = self.history, self.history.kind.rules.grace
        if self.aside_at is not None and self.aside_at >= call.read_from:
            return
        if not (grace and history.exchanges) or isinstance(history.grant, Inactive):
            return
        last, token = history.exchanges[-1], history.grant.tokens.refresh_token
        tries = [intent for intent in history.intents if intent[2] == last.refresh_token]
        is_known = last.ended_at is not None and not (last.is_delivered or last.is_refused)
        if last.ended_at is None or not is_known or len(tries) > 1 or last.refresh_token != token:
            return
        # By the clocks that decided. A clock may have moved during the call.
        assert isinstance(call.process, Instance)
        skew = min(call.skew, timedelta(seconds=call.process.skew))
        started_at, clock = last.attempt.started_at, call.read_from + skew
        opens = started_at + (LEASE if history.kind.rules.until_used else min(LEASE, grace / 2))
        is_over = max(last.ended_at, history.written_at) + SKEW < call.read_from
        ends = started_at + grace - SEND_WITHIN - 2 * SKEW
        if is_over and opens < clock and now + call.skew < ends:
            raise BrokenRuleError(Rule.GRACE, f"request {last.number}")

    def _judge_rejection(self, call: Call) -> None:
        """Judge a caller's wait: another token was replaced for the same reason, minutes ago."""
        since, waited = self.history.last_rejection_at, LONGEST_REJECTION_WAIT + 2 * SKEW
        # An instance that stalls answers late.
        if call.refused is None or since is None or call.read_from > since + waited:
            raise BrokenRuleError(Rule.REFUSED_WAITS, f"since {since}")

    # Calls for a login.

    def _judge_refusal(self, call: Call, answer: AskForAuthorization, now: datetime) -> bool:
        history = self.history
        if history.revoked_at is not None or answer.cause is Cause.REVOKED:
            return self._judge_revoked(call, answer.cause)
        if history.login_token is not None or call.read_from <= history.login_at:
            return False
        self._judge_cause(call, answer.cause, now)
        if answer.cause is Cause.REFRESH_TOKEN_REJECTED and self._may_pass(call):
            # A person asks for a refresh after minutes, and need not log in: `Connection.take`.
            return False
        return self._judge_loss(call, answer.cause, now)

    def _may_pass(self, call: Call) -> bool:
        """Whether a refusal passes, or has passed since the answering instance read the store."""
        history = self.history
        is_old = call.read_from <= history.written_at
        return history.may_pass() or (history.kind.rules.refuses_what_lives and is_old)

    def _judge_loss(self, call: Call, cause: Cause, now: datetime) -> bool:
        """Judge whether nothing is left that the provider honours."""
        history = self.history
        for token, stored_at in history.stored_at.items():
            if history.honours(token, now):
                if stored_at < call.read_from:
                    raise BrokenRuleError(Rule.LOST, f"{token} ({cause.value})")
                return False
        held = list(history.held(now))
        for exchange in held:
            if self._was_over_by_a_clock(call, exchange, cause, now):
                return False
            if not exchange.stalled and not exchange.failed_writes:
                raise BrokenRuleError(Rule.LOST, f"{exchange.new_refresh_token} in memory")
        if held:
            self.false_alarms += not self.is_alarmed
            self.is_alarmed = True
            return False
        if not self.is_lost:
            self.is_lost = True
            history.losses[history.explain(now)] += 1
        return True

    def _was_over_by_a_clock(
        self, call: Call, exchange: Exchange, cause: Cause, now: datetime
    ) -> bool:
        """Whether a refresh token had expired by this clock, but not by that of its sender.

        An instance that read the store before the intent was written cannot know of that.
        """
        history = self.history
        is_over = history.may_be_expired(exchange.refresh_token, now)
        is_unknown = history.intended_at[exchange.attempt.id] >= call.read_from
        return cause is Cause.REFRESH_TOKEN_EXPIRED and is_over and is_unknown

    def _judge_revoked(self, call: Call, cause: Cause) -> bool:
        history = self.history
        is_known = history.is_revoked_for(call.read_from)
        is_over = history.revoked_at is None and history.login_at < call.read_from
        if is_over or (is_known and cause is not Cause.REVOKED):
            raise BrokenRuleError(Rule.WRONG_CAUSE, cause.value)
        return history.revoked_at is not None

    def _judge_cause(self, call: Call, cause: Cause, now: datetime) -> None:
        history = self.history
        assert not isinstance(history.grant, Inactive)
        token = history.grant.tokens.refresh_token
        assert token is not None
        if cause in {Cause.NEVER_AUTHORIZED, Cause.REFRESH_TOKEN_MISSING}:
            raise BrokenRuleError(Rule.WRONG_CAUSE, cause.value)
        is_expired = history.may_be_expired(token, now)
        is_known = history.written_at < call.read_from
        if cause is Cause.REFRESH_TOKEN_EXPIRED and is_known and not is_expired:
            raise BrokenRuleError(Rule.WRONG_CAUSE, f"{token} has not expired")

    # Time.

    def is_ready(self, call: Call) -> bool:
        """Whether the store has what a program asks for, with time left."""
        if isinstance(self.history.grant, Inactive) or call.kind is not RequestKind.TOKEN:
            return False
        tokens = self.history.grant.tokens
        if self.history.kind.ends_access_token or tokens.expires_at is None:
            return False
        demanded = min(call.min_ttl, self.history.provider.access_life / 2)
        return tokens.expires_at > call.began_at + demanded + 2 * SKEW + AT_ONCE

    def judge_wait(self, call: Call, now: datetime, *, is_ready: bool) -> None:
        """Judge the time to answer of an instance without a fault."""
        in_flight = self.history.is_in_flight() or self.history.in_flight_at >= call.read_from
        if now - call.began_at > AT_ONCE and (is_ready or not in_flight):
            raise BrokenRuleError(Rule.DELAYED, f"{now - call.began_at}")

    # The sweep.

    def swept(self, call: Call, result: QuestionResult) -> SweepOutcome:
        """Judge the answer to the sweep, and return how the sweep must count it."""
        match result.answer:
            case AskForAuthorization() | ReportMoved() | RejectedAgain():
                return SweepOutcome.FAILED
            case TryLater() | Serve() | NothingDue() | Wait() as answer:
                if self._is_replaced(call, result.before, result.after):
                    return SweepOutcome.REFRESHED
                went_wrong = _what_went_wrong(result.after)
                is_new = went_wrong not in {None, _what_went_wrong(result.before)}
                has_failed = is_new and not isinstance(answer, Wait)
                is_failing = has_failed or isinstance(answer, TryLater)
                return SweepOutcome.FAILED if is_failing else SweepOutcome.SKIPPED

    def _is_replaced(self, call: Call, before: Grant, after: Grant) -> bool:
        assert not isinstance(before, Inactive)
        assert not isinstance(after, Inactive)
        return self.history.is_replaced(
            before=before.tokens.access_token,
            after=after.tokens.access_token,
            since=call.read_from,
        )

    def logged_in(self) -> None:
        """Forget the state of the grant before."""
        self.is_lost = self.is_alarmed = False


def _was_refused_just_now(call: Call, answer: Serve, history: History) -> bool:
    """Whether the answering instance had its refresh refused, and could not store that."""
    return any(
        exchange.is_refused
        and exchange.sender is call.process
        and exchange.ended_at is not None
        and exchange.ended_at >= call.began_at
        and exchange.left_alone_until is None
        and exchange.refresh_token == answer.tokens.refresh_token
        for exchange in history.exchanges
    )


def _what_went_wrong(grant: Grant) -> datetime | None:
    """Return when a failure was known; None without one, or during an attempt."""
    match grant:
        case Authorized(failure_state=failure_state):
            return None if failure_state is None else failure_state.at
        case AuthorizationRequired(since=since):
            return since
        case _:
            return None
