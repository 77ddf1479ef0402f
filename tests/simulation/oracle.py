"""Judges the store and the token requests at every event that could break a promise.

The oracle knows the provider's clock and every request in flight of one connection.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.grant import (
    Active,
    Adopting,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Inactive,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    tokens_of,
)
from domain.tokens import Tokens
from tests.simulation.exchanges import Call, Exchange, RequestKind
from tests.simulation.history import History
from tests.simulation.loop import Process
from tests.simulation.promises import (
    EARLY_PART,
    FIRST_BACKOFF,
    IDLE_PART,
    IDLE_WITHOUT_DATE,
    LEASE,
    LONGEST_BACKOFF,
    LONGEST_RETRY_AFTER,
    MIN_REFRESH_INTERVAL,
    MOST_REJECTIONS,
    REFRESHED_EARLY,
    REFUSED_RETRY_WAIT,
    REJECTIONS_COUNTED,
    SEND_WITHIN,
    SKEW,
    BrokenRuleError,
    Rule,
)


@dataclass(kw_only=True)
class Oracle:
    """The judge of what one connection's instances write and send."""

    history: History
    # Since tokens last came: attempts, requests, and the provider's wish to be left alone.
    probes: int = 0
    settled_requests: int = 0
    left_alone_until: datetime | None = None

    # The store.

    def stored(self, process: Process, call: Call, grant: Grant, now: datetime) -> None:
        """Judge what replaces the record, and note it."""
        history = self.history
        before, history.grant, history.written_at = history.grant, grant, now
        # No client of this simulation is without logins (`own_tokens.py`). Of tokens that are
        # adopted, `adopted_connection.py` has each login judged alone.
        assert not isinstance(grant, Adopting | Unauthorized | Requesting | Moved)
        assert not isinstance(before, Adopting | Requesting | Moved)
        if isinstance(grant, Revoking | Revoked):
            self._judge_revocation(before, grant, call)
            return
        if isinstance(before, Revoking | Revoked):
            self._judge_return(grant)
            before = Unauthorized()
        try:
            self._judge_kept(process, call, before, grant)
        finally:
            # A grant that breaks a disabled rule is stored and sent as well.
            if isinstance(grant, Refreshing) and not _is_same_attempt(before, grant):
                assert grant.tokens.refresh_token is not None
                history.intents.append((process, grant.attempt, grant.tokens.refresh_token))
                history.intended_at[grant.attempt.id] = now

    def _judge_kept(
        self, process: Process, call: Call, before: Active | Unauthorized, grant: Active
    ) -> None:
        history, tokens, now = self.history, grant.tokens, self.history.written_at
        self._judge_tokens(tokens, now)
        if isinstance(before, Refreshing) or isinstance(grant, Refreshing):
            history.in_flight_at = now
        if not isinstance(before, Unauthorized):
            self._judge_order(before.tokens, tokens, now)
            if tokens.authorized_at != before.tokens.authorized_at:
                # Refusals of the tokens of another login count for nothing.
                history.rejected_at.clear()
            self._hear_of_wishes(before, grant)
            self._judge_failure(process, before, grant)
        if isinstance(grant, Refreshing) and not _is_same_attempt(before, grant):
            assert not isinstance(before, Unauthorized)
            self._judge_intent(before, grant, call)
        if isinstance(grant, AuthorizationRequired):
            self._judge_verdict(tokens, now)
            # The series is over: an explicit refresh starts another, `REFUSED_RETRY_WAIT` later.
            self.probes = 0
        if is_refused(grant):
            history.refused.add(tokens.access_token)

    def put_back(self, grant: Grant, now: datetime) -> None:
        """Note what takes the place of a record that is lost: it was in the store once."""
        self.history.grant, self.history.written_at = grant, now
        self.history.revoked_at = now if isinstance(grant, Revoking | Revoked) else None

    def _judge_revocation(self, before: Grant, grant: Revoking | Revoked, call: Call) -> None:
        """Judge who ends a grant, and note from when on it must not be used."""
        is_gone_on_with = call.kind is RequestKind.SWEEP and isinstance(before, Revoking)
        if call.kind is not RequestKind.REVOKE and not is_gone_on_with:
            raise BrokenRuleError(Rule.UNEXPLAINED_LOSS, f"revoked for {call.kind.value}")
        history = self.history
        if isinstance(before, Refreshing):
            history.in_flight_at = history.written_at
        if isinstance(grant, Revoking):
            history.revoked_at = history.written_at
        elif not isinstance(before, Revoking):
            raise BrokenRuleError(Rule.RESURRECTED, "forgotten before it is fenced off")

    def revoked(self, call: Call) -> None:
        """Judge the stored record when a revocation has returned."""
        tokens = tokens_of(self.history.grant)
        if tokens is not None and tokens.authorized_at < call.began_at:
            raise BrokenRuleError(Rule.RESURRECTED, f"{tokens.refresh_token} is there")

    def _judge_return(self, grant: Active) -> None:
        """Judge what replaces a grant that was revoked: a login that began later."""
        history = self.history
        revoked_at = history.revoked_at
        assert revoked_at is not None
        # It may be an earlier login than the last, which could not be stored when it came.
        history.revoked_at, history.login_at = None, history.written_at
        if grant.tokens.authorized_at <= revoked_at - 2 * SKEW:
            raise BrokenRuleError(Rule.RESURRECTED, f"{grant.tokens.refresh_token} is stored")

    def _judge_tokens(self, tokens: Tokens, now: datetime) -> None:
        history, token = self.history, tokens.refresh_token
        assert token is not None
        if token not in history.counted_from:
            raise BrokenRuleError(Rule.MIXED_UP, f"{token} is stored")
        history.stored_at.setdefault(token, now)
        if token == history.login_token:
            history.login_at, history.login_token = now, None
        if is_unproven(tokens):
            return
        if not history.had(tokens.access_token):
            history.served_from.append((now, tokens.access_token))
        issued, expiry = history.provider.issued.get(token), tokens.refresh_token_expires_at
        if history.is_adopted:
            # Nobody knows when that login began.
            return
        assert expiry is not None
        if issued is not None and expiry > issued.expires_at + 2 * SKEW:
            raise BrokenRuleError(Rule.EXPIRED_SENT, f"{token} is stored with the expiry {expiry}")

    def _judge_order(self, old: Tokens, new: Tokens, now: datetime) -> None:
        if _serial(new.refresh_token) < _serial(old.refresh_token):
            raise BrokenRuleError(
                Rule.TOKENS_FORWARD, f"{old.refresh_token} to {new.refresh_token}"
            )
        # A login over an unreadable record starts again at 0.
        if new.generation < old.generation and new.authorized_at <= old.authorized_at:
            raise BrokenRuleError(Rule.FORWARD, f"{old.generation} to {new.generation}")
        if new.access_token != old.access_token:
            self.probes, self.left_alone_until = 0, None
            self.settled_requests = len(self.history.exchanges)
        assert new.refresh_token is not None
        if new.generation > old.generation and self.history.provider.honours(
            new.refresh_token, now
        ):
            self._supersede(new)

    def _supersede(self, tokens: Tokens) -> None:
        """Mark other answers of older generations: of several valid ones, one is kept."""
        for exchange in self.history.exchanges:
            if exchange.attempt.generation < tokens.generation:
                exchange.is_superseded = True

    def _hear_of_wishes(self, before: Active, grant: Active) -> None:
        """Note what an answer that is noted as a failure asked for, and that it brought nothing."""
        if isinstance(before, Refreshing) and isinstance(grant, Authorized) and grant.failure_state:
            is_in_doubt = grant.failure_state.in_doubt_since is not None
            if not is_in_doubt and not self.history.may_have_worked(before.attempt):
                self.history.fruitless.add(before.attempt.id)
            for exchange in self.history.exchanges:
                if exchange.attempt == before.attempt:
                    self.left_alone_until = exchange.left_alone_until

    def _judge_failure(self, process: Process, before: Active, grant: Active) -> None:
        """Judge who says that an attempt has failed: the others prove nothing."""
        is_new = grant.tokens.access_token != before.tokens.access_token
        if is_new or isinstance(grant, Refreshing) or not isinstance(before, Refreshing):
            return
        if not any(
            owner is process and attempt == before.attempt
            for owner, attempt, _ in self.history.intents
        ):
            raise BrokenRuleError(Rule.NOT_IN_CHARGE, f"{process.name}, {before.attempt.id}")

    def _judge_verdict(self, tokens: Tokens, now: datetime) -> None:
        assert tokens.refresh_token is not None
        if self.history.provider.honours(tokens.refresh_token, now) and not self.history.may_pass():
            raise BrokenRuleError(Rule.ENDED_WRONGLY, tokens.refresh_token)

    # Intents.

    def _judge_intent(self, before: Active, intent: Refreshing, call: Call) -> None:
        started_at, tokens = intent.attempt.started_at, before.tokens
        self._judge_insistence(before, started_at, call)
        expiry = tokens.refresh_token_expires_at
        if expiry is not None and started_at >= expiry:
            raise BrokenRuleError(Rule.EXPIRED_SENT, f"{tokens.refresh_token} at {started_at}")
        self._judge_window(tokens, started_at)
        self._judge_backoff(before, started_at)
        if not is_unproven(tokens):
            self._judge_need(before, started_at, call)
            self._judge_risk(before, started_at, call)
        if isinstance(before, AuthorizationRequired):
            # A final refusal ends a row of failures. A try minutes later starts another.
            self.probes = 0
        self.probes += 1

    def _judge_insistence(self, before: Active, started_at: datetime, call: Call) -> None:
        """Judge a retry after a refusal: only an explicit refresh causes one, minutes apart.

        If the refusal is not final, any caller causes one after the access token expired.
        """
        match before:
            case AuthorizationRequired(cause=cause, since=since):
                may_pass = (
                    cause is Cause.REFRESH_TOKEN_REJECTED and call.kind is RequestKind.REFRESH
                )
                if not may_pass or started_at < since + REFUSED_RETRY_WAIT:
                    raise BrokenRuleError(Rule.BACKOFF, "after a final refusal")
            case Authorized(failure_state=failure_state) if (
                failure_state is not None and is_refused(before)
            ):
                is_over = before.tokens.expires_at and before.tokens.expires_at <= started_at
                is_wanted = call.kind in {RequestKind.REFRESH, RequestKind.REJECTION}
                if not is_over and not (
                    is_wanted and started_at >= failure_state.at + REFUSED_RETRY_WAIT
                ):
                    raise BrokenRuleError(Rule.INSISTED, f"at {started_at}")
            case _:
                pass

    def _judge_window(self, tokens: Tokens, started_at: datetime) -> None:
        """Judge whether the provider would take the refresh token at this time."""
        history, within = self.history, self.history.policy.provider.refresh_only_within
        assert tokens.refresh_token is not None
        # Of adopted tokens, nobody remembers those that the record has no more.
        is_known = history.kind.rules.until_used and not is_unproven(tokens)
        if is_known and history.is_spent(tokens.refresh_token):
            raise BrokenRuleError(Rule.SPENT, tokens.refresh_token)
        if within is not None and tokens.expires_at is not None:
            too_early = tokens.expires_at - started_at - within
            if too_early > 2 * SKEW:
                raise BrokenRuleError(Rule.TOO_EARLY, f"by {too_early}")

    def _judge_backoff(self, before: Active, started_at: datetime) -> None:
        if isinstance(before, Authorized) and before.failure_state and not is_refused(before):
            retry_at = before.failure_state.retry_at
            if started_at < retry_at <= started_at + LONGEST_RETRY_AFTER:
                raise BrokenRuleError(Rule.BACKOFF, f"at {started_at}, not {retry_at}")
        if self.left_alone_until and started_at < self.left_alone_until - 2 * SKEW:
            raise BrokenRuleError(Rule.BACKOFF, f"at {started_at}, not {self.left_alone_until}")
        if self.probes > 1:
            # Half of a doubling step is the least that jitter leaves of it; the first repetition
            # may come at once.
            least = min(FIRST_BACKOFF * 2 ** min(self.probes - 2, 20), LONGEST_BACKOFF) / 2
            gap = started_at - self.history.intents[-1][1].started_at
            if gap < least - 2 * SKEW:
                raise BrokenRuleError(
                    Rule.BACKOFF, f"probe {self.probes + 1} after {gap}, less than {least}"
                )

    def _judge_need(self, before: Active, started_at: datetime, call: Call) -> None:
        """Judge whether the caller had a reason to refresh."""
        tokens = before.tokens
        match call.kind:
            case RequestKind.REFRESH:
                expired = tokens.expires_at is not None and tokens.expires_at <= started_at
                # In doubt, the new access token may have ended already.
                ended = self.history.kind.ends_access_token and _is_unheard(before)
                assert call.heard_at is not None
                is_new = tokens.issued_at >= call.heard_at + SKEW - MIN_REFRESH_INTERVAL
                if is_new and not (expired or ended):
                    raise BrokenRuleError(Rule.APART, f"{tokens.access_token}")
            case RequestKind.REJECTION:
                self._judge_rejection(before, started_at, call)
            case RequestKind.SWEEP:
                is_unsettled = _is_unheard(before) or is_refused(before)
                is_early = started_at < tokens.issued_at + self._idle_time(tokens)
                # Of adopted tokens, nobody knows when their login ends.
                is_fixed = self.history.provider.is_fixed(str(tokens.refresh_token))
                is_futile = is_fixed and not self.history.is_adopted
                if not is_unsettled and (is_early or is_futile):
                    raise BrokenRuleError(Rule.NOT_DUE, f"{tokens.access_token}")
            case _:
                pass

    def _idle_time(self, tokens: Tokens) -> timedelta:
        """Return for how long the sweep leaves a grant alone."""
        if tokens.refresh_token_expires_at is None:
            assert self.history.is_adopted
            return IDLE_WITHOUT_DATE
        return (tokens.refresh_token_expires_at - tokens.issued_at) / IDLE_PART

    def _judge_rejection(self, before: Active, started_at: datetime, call: Call) -> None:
        """Judge whether a refused token is replaced, and not too many in a row."""
        history, tokens = self.history, before.tokens
        assert call.refused is not None
        assert tokens.expires_at is not None
        history.last_rejection_at = started_at
        early = min(REFRESHED_EARLY, history.provider.access_life / EARLY_PART) + 2 * SKEW
        is_due = tokens.expires_at - started_at <= max(early, call.min_ttl)
        if is_due or _is_unheard(before):
            # Anybody may have it refreshed.
            return
        if tokens.public_generation != call.refused.public_generation:
            raise BrokenRuleError(Rule.APART, f"{tokens.access_token} is not refused")
        if tokens.access_token not in history.rejected_at:
            # Another attempt for the same token brought nothing.
            history.rejected_at[tokens.access_token] = started_at
        recent = started_at - REJECTIONS_COUNTED + 2 * SKEW
        if sum(at > recent for at in history.rejected_at.values()) > MOST_REJECTIONS:
            raise BrokenRuleError(Rule.REFUSED_OFTEN, f"{tokens.access_token} at {started_at}")

    def _judge_risk(self, before: Active, started_at: datetime, call: Call) -> None:
        """Judge whether a valid access token is risked, or ended, too early."""
        history, tokens = self.history, before.tokens
        assert tokens.refresh_token is not None
        assert tokens.expires_at is not None
        if history.kind.ends_access_token and call.kind is RequestKind.TOKEN:
            # In doubt, the access token may have ended already.
            risks = not _is_unheard(before)
        else:
            risks = self._is_doubtful(tokens.refresh_token, started_at)
        is_ended = tokens.access_token in history.provider.ended_at
        is_insisting = call.kind in {RequestKind.REFRESH, RequestKind.REJECTION}
        if not risks or is_insisting or is_ended:
            return
        if tokens.expires_at > started_at + min(call.min_ttl, history.provider.access_life / 2):
            raise BrokenRuleError(Rule.SPARED, f"{tokens.access_token} at {started_at}")

    def _is_doubtful(self, refresh_token: str, now: datetime) -> bool:
        """Whether to send it may end everything: nobody has heard what came of it before."""
        history = self.history
        if history.policy.provider.replay_is_harmless:
            return False
        return any(
            exchange.refresh_token == refresh_token
            and not (exchange.is_delivered or exchange.is_refused)
            and exchange.attempt.started_at + history.kind.rules.grace + 2 * SKEW <= now
            for exchange in history.exchanges[self.settled_requests :]
        )

    # Token requests.

    def sent(
        self, process: Process, refresh_token: str, now: datetime, clock: datetime
    ) -> Exchange:
        """Judge a request that is about to leave; `clock` is what its instance believes."""
        attempt = self._take_intent(process, refresh_token)
        revoked_at = self.history.revoked_at
        if revoked_at and now > revoked_at + SEND_WITHIN + 2 * SKEW:
            raise BrokenRuleError(Rule.RESURRECTED, f"{refresh_token} is sent")
        if clock > attempt.started_at + SEND_WITHIN + 2 * SKEW:
            raise BrokenRuleError(Rule.SENT_IN_TIME, f"{clock - attempt.started_at} late")
        for other in self.history.exchanges:
            if other.refresh_token == refresh_token:
                self._judge_replay(process, other, now)
        exchange = Exchange(
            number=len(self.history.exchanges) + 1,
            sender=process,
            attempt=attempt,
            refresh_token=refresh_token,
        )
        self.history.exchanges.append(exchange)
        return exchange

    def _take_intent(self, process: Process, refresh_token: str) -> Attempt:
        for owner, attempt, token in reversed(self.history.intents):
            if owner is process and token == refresh_token and not self._was_sent(attempt):
                return attempt
        raise BrokenRuleError(Rule.INTENT_FIRST, f"{process.name} with {refresh_token}")

    def _was_sent(self, attempt: Attempt) -> bool:
        return any(exchange.attempt == attempt for exchange in self.history.exchanges)

    def _judge_replay(self, process: Process, other: Exchange, now: datetime) -> None:
        """Judge a request with the refresh token of another one."""
        started_at = other.attempt.started_at
        if other.ended_at is None and now < started_at + LEASE - SKEW:
            raise BrokenRuleError(Rule.ONE_ATTEMPT, f"request {other.number} is not over")
        is_over = other.ended_at is not None and self._is_settled(other)
        if other.sender is process and not is_over:
            raise BrokenRuleError(Rule.OWN_ANSWER, f"request {other.number}")
        grace = self.history.kind.rules.grace
        bears_it = self.history.policy.provider.replay_is_harmless or (
            # The second one arrives within the window of the first, or the other way round.
            grace
            and not self.history.kind.rules.until_used
            and now < started_at + grace + SEND_WITHIN + 2 * SKEW
        )
        if other.may_land and not other.lands_after_lease and not bears_it:
            raise BrokenRuleError(Rule.FIRST_MAY_LAND, f"request {other.number}")

    def _is_settled(self, exchange: Exchange) -> bool:
        """Whether nothing of an answer is left that only its instance has."""
        token = exchange.new_refresh_token
        let_go = exchange.is_rescued or exchange.is_superseded or token in self.history.stored_at
        return token is None or not exchange.is_delivered or let_go

    # Beginnings and ends.

    def settled(self, now: datetime) -> None:
        """Judge the store when all instances are well and idle."""
        history = self.history
        if isinstance(history.grant, Inactive):
            return
        token = history.grant.tokens.refresh_token
        assert token is not None
        if history.provider.honours(token, now):
            return
        living = [name for name in history.stored_at if history.honours(name, now)]
        living += [str(exchange.new_refresh_token) for exchange in history.held(now)]
        if living:
            raise BrokenRuleError(Rule.DROPPED, f"{token} is stored, and not {living}")

    def logged_in(self) -> None:
        """Forget the state of the grant before."""
        self.probes, self.left_alone_until = 0, None


def _serial(token: str | None) -> int:
    assert token is not None
    return int(token.rpartition("-")[2])


def is_unproven(tokens: Tokens) -> bool:
    """Whether these were adopted, and have no access token yet."""
    return not tokens.access_token


def is_refused(grant: Grant) -> bool:
    """Whether the store has a refusal that is not final."""
    failure_state = grant.failure_state if isinstance(grant, Authorized | Refreshing) else None
    return failure_state is not None and failure_state.failure is Failure.REFUSED


def _is_unheard(grant: Active) -> bool:
    """Whether the store has an attempt without a known outcome."""
    match grant:
        case Refreshing():
            return True
        case Authorized(failure_state=failure_state):
            return failure_state is not None and failure_state.in_doubt_since is not None
        case AuthorizationRequired():
            return False


def _is_same_attempt(before: Grant, after: Refreshing) -> bool:
    return isinstance(before, Refreshing) and before.attempt == after.attempt
