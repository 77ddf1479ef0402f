"""Runs in which the clock is wrong, by hours or by years, and is put right, again and again.

python -m tests.simulation.clocks KIND SEED

One instance as it is wired, one connection, and a provider whose clock is right. Events are judged
while the instance's clock is right too.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from urllib.parse import parse_qs, urlsplit

from adapters.store_memory import MemoryStore
from domain.authorization import AuthorizationResponse
from domain.commands import Answer, AskForAuthorization, Serve, TryLater
from domain.grant import Cause, Failure, Inactive, tokens_of
from domain.policy import Policy
from domain.provider import Provider
from domain.token_endpoint import (
    Outcome,
    RefreshTokenRequest,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenRequest,
)
from domain.tokens import MAX_CLOCK_SKEW, Tokens
from functions.http.problems import ProblemError
from functions.login.links import LoginLinks
from functions.login.logins import Logins
from functions.refresh.keeper import Keeper, intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from ports.rescue import RescuedRecord, UnreadableLine
from tests.domain.examples import T0
from tests.simulation.exchanges import RequestKind
from tests.simulation.promises import REFUSED_RETRY_WAIT, BrokenRuleError, Rule
from tests.simulation.provider import KEPT_IDLE, KINDS, REFUSING, SimulatedProvider
from tests.simulation.run import SimulationFailedError, Tally
from tests.simulation.surroundings import SeededEntropy
from tests.simulation.world import LONG_REFRESH_LIFE, stream

ACCESS_LIFE = timedelta(minutes=30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
YEARS = 1461 * DAY
OFFSETS = (-YEARS, -DAY, -3 * HOUR, 3 * HOUR, DAY, YEARS)
PAUSES = (timedelta(0), timedelta(seconds=11), 6 * MINUTE, 31 * MINUTE, 4 * HOUR, 2 * DAY)
ROUNDS = 40
# Of a refresh token that a clock was so much behind for, the end is expected so much too early.
EXPECTED_EARLY = 2 * DAY
# A sweep comes by every day for so long that what it does not refresh is over.
IDLE_DAYS = 95
CONNECTION = "c"


@dataclass(kw_only=True)
class ClockWorld:
    """Everything there is in one run."""

    kind: str
    random: Random
    true: datetime = T0 + 30 * DAY
    offset: timedelta = timedelta(0)
    # From here on the clock stays right.
    is_right: bool = False
    # When the provider refused a valid refresh token; None after another answer.
    refused_at: datetime | None = None
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = KINDS[self.kind]
        self.provider = SimulatedProvider(
            kind=kind.rules,
            access_life=ACCESS_LIFE,
            refresh_life=LONG_REFRESH_LIFE,
            ends_access_token=kind.ends_access_token,
        )
        declared = kind.declared(ACCESS_LIFE, LONG_REFRESH_LIFE)
        self.store = MemoryStore()
        entropy = SeededEntropy(self.random)
        policy = Policy(provider=declared, client="client-1")
        self.recorder = Recorder(
            store=self.store,
            clock=self,
            entropy=entropy,
            rescue=self,
            revoke_late_tokens=lambda *late: self.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - made below
            policy=policy,
        )
        poller = Poller(self.store)
        self.keeper = Keeper(
            recorder=self.recorder,
            server=lambda: self,
            clock=self,
            entropy=entropy,
            policy=policy,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        self.revocations = Revocations(
            keeper=self.keeper, recorder=self.recorder, server=lambda: self
        )
        self.sweep = Sweep(
            keeper_of=lambda _: self.keeper,
            revocations_of=lambda _: self.revocations,
            store=self.store,
            clock=self,
        )

        async def provider() -> Provider:
            return declared

        async def signing_keys() -> list[bytes]:
            return [b"a key"]

        self.logins = Logins(
            keeper=self.keeper,
            recorder=self.recorder,
            store=self.store,
            server=lambda: self,
            clock=self,
            entropy=entropy,
            provider=provider,
            client_id="a-client",
            redirect_uri="https://keeper.test/api/callback",
            static_state=None,
            owns=lambda _: True,
            state_keys=signing_keys,
            links=LoginLinks(
                keys=signing_keys, public_url=None, store=self.store, clock=self, entropy=entropy
            ),
        )

    # The ports.

    def now(self) -> datetime:
        """Return the time by the clock of the instance."""
        return self.true + self.offset

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Act as the provider; now and then the clock changes meanwhile."""
        if not self.is_right and self.random.random() < 1 / 8:
            self.change_clock()
        if isinstance(request, RefreshTokenRequest):
            answer = self.provider.refresh(
                request.refresh_token, self.true, rotates=self.random.random() < 1 / 2
            )
            self.refused_at = self.true if self.provider.has_refused else None
            return answer
        return self.provider.log_in(self.true)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """End a token."""
        self.provider.revoke(request.token)
        return RevocationResult.REVOKED

    def emit(self, rescued: RescuedRecord) -> None:
        """Nothing needs to be rescued here."""
        raise NotImplementedError(rescued.connection)

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        """Nothing needs to be rescued here."""
        raise NotImplementedError(line)

    # Events.

    def change_clock(self) -> None:
        """Make the clock wrong, or put it right."""
        self.offset = timedelta(0) if self.offset else self.random.choice(OFFSETS)
        self.note(f"the clock is wrong by {self.offset}")

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.true - T0}  {what}")

    async def live(self) -> None:
        """Let everything happen in turn. Raises BrokenRuleError."""
        if self.random.random() < 1 / 2:
            self.change_clock()
        await self.a_person_logs_in()
        steps = [
            self.a_program_asks,
            self.a_program_asks,
            self.a_refresh_is_requested,
            self.a_person_logs_in,
            self.the_owner_revokes,
            self.the_sweep_comes_by,
        ]
        for _ in range(ROUNDS):
            if self.random.random() < 1 / 3:
                self.change_clock()
            await self.random.choice(steps)()
            await self.keeper.finish()
            self.true += self.random.choice(PAUSES)
        self.offset = timedelta(0)
        await self.a_person_logs_in()
        if self.random.random() < 1 / 2:
            self.offset = self.random.choice(OFFSETS)
            await self.a_person_logs_in()
            self.offset = timedelta(0)
        await self.nobody_asks()

    async def a_program_asks(self) -> None:
        """Ask for a token."""
        before = await self.honoured()
        answer = await self.keeper.token(CONNECTION, min_ttl=MINUTE)
        self.note(f"a program is answered {type(answer).__name__}")
        await self.judge(answer, RequestKind.TOKEN, was_honoured=before)

    async def a_refresh_is_requested(self) -> None:
        """Ask for new tokens."""
        before, serial, is_right = await self.honoured(), self.provider.serial, not self.offset
        record = await self.store.load(CONNECTION)
        answer = (await self.keeper.refresh(CONNECTION)).answer
        self.note(f"a refresh is answered {type(answer).__name__}")
        await self.judge(answer, RequestKind.REFRESH, was_honoured=before)
        # The clock may have been set on the way.
        is_right = is_right and not self.offset
        tokens = tokens_of(record.grant)
        is_old = tokens is not None and self.issued_at(tokens) < self.true - MINUTE
        is_refreshed = self.provider.serial > serial
        is_right = is_right and not self.offset
        if is_right and before and is_old and isinstance(answer, Serve) and not is_refreshed:
            self.excuse_late_look(answer, Rule.NOT_NEW)

    async def a_person_logs_in(self) -> None:
        """Begin a login, and end it; now and then the owner revokes, or logs in, meanwhile."""
        begun = await self.logins.begin(CONNECTION)
        offset = self.offset
        if is_ended := self.random.random() < 1 / 4:
            await self.the_owner_revokes()
            if self.random.random() < 1 / 2:
                await self.finish_login(await self.begun_state())
        has_ended = isinstance((await self.store.load(CONNECTION)).grant, Inactive)
        serial = self.provider.serial
        worked = await self.finish_login(begun.state)
        was_there = is_ended and self.was_revoked
        if was_there and (worked or self.provider.serial > serial):
            raise BrokenRuleError(Rule.RESURRECTED, "by a login that was begun before")
        if not is_ended and offset == self.offset_at_callback and not worked:
            raise BrokenRuleError(Rule.TAKEN, f"over {has_ended}")

    async def begun_state(self) -> str:
        """Begin a login as the one that goes on, with what a browser is sent away with."""
        url = (await self.logins.begin(CONNECTION)).authorization_url
        return parse_qs(urlsplit(url).query)["state"][0]

    async def finish_login(self, state: str) -> bool:
        """Come back; say whether the tokens of this login are there now."""
        self.offset_at_callback = self.offset
        response = AuthorizationResponse(state=state, code="a-code", issuer=None)
        try:
            completed = await self.logins.complete(response)
        except ProblemError as failed:
            self.note(f"a login fails: {type(failed).__name__}")
            return False
        tokens = tokens_of(completed.grant)
        worked = tokens is not None and tokens.refresh_token in self.provider.issued
        self.note(f"a login {'works' if worked else 'is not taken'}")
        return completed.is_new and worked

    async def the_owner_revokes(self) -> None:
        """Revoke; nothing is left then."""
        before = await self.store.load(CONNECTION)
        self.was_revoked = tokens_of(before.grant) is not None
        await self.revocations.revoke(CONNECTION)
        self.note("the owner revokes")
        if not isinstance((await self.store.load(CONNECTION)).grant, Inactive):
            raise BrokenRuleError(Rule.RESURRECTED, "it is not ended")

    async def the_sweep_comes_by(self) -> None:
        """Sweep."""
        self.note(f"{await self.sweep.run()}")

    async def nobody_asks(self) -> None:
        """Let a sweep come by every day, and nobody else."""
        self.is_right, self.offset = True, timedelta(0)
        was_alive = await self.honoured()
        for _ in range(IDLE_DAYS):
            await self.the_sweep_comes_by()
            await self.keeper.finish()
            self.true += DAY
        # A login by a clock that is far behind looks expired, and is refused as too early.
        is_kept = self.kind in KEPT_IDLE and self.kind not in REFUSING
        if was_alive and is_kept and not await self.honoured():
            raise BrokenRuleError(Rule.DIED_IDLE, f"after {IDLE_DAYS} days")

    # Judgements.

    async def honoured(self) -> bool:
        """Whether the provider honours the stored tokens, and will for a while."""
        tokens = tokens_of((await self.store.load(CONNECTION)).grant)
        later = self.true + EXPECTED_EARLY
        return tokens is not None and self.provider.honours(str(tokens.refresh_token), later)

    async def judge(self, answer: Answer, kind: RequestKind, *, was_honoured: bool) -> None:
        """Judge an answer that is given by a clock that is right."""
        if self.offset:
            return
        match answer:
            case Serve(tokens=tokens):
                if not self.provider.works(tokens.access_token, self.true):
                    self.excuse_unknown_end(answer)
                self.provider.use(tokens.access_token, self.true)
            case AskForAuthorization(cause=cause) if was_honoured:
                if cause is not Cause.REFRESH_TOKEN_REJECTED or not self.provider.has_refused:
                    raise BrokenRuleError(Rule.LOST, cause.value)
                await self.a_person_insists()
            case TryLater(at=at, failure=None):
                # The provider takes no refresh yet.
                if kind is not RequestKind.REFRESH or at > self.true + ACCESS_LIFE:
                    raise BrokenRuleError(Rule.DELAYED, f"until {at}")
            case TryLater(at=at, failure=Failure() as failure):
                # A provider that refuses a valid refresh token delays explicit refreshes.
                is_insisting = kind is RequestKind.REFRESH and failure is Failure.REFUSED
                may_wait = is_insisting and self.provider.has_refused
                if not may_wait or at > self.true + REFUSED_RETRY_WAIT:
                    raise BrokenRuleError(Rule.DELAYED, f"{failure.value}, until {at}")
            case _:
                pass

    async def a_person_insists(self) -> None:
        """Ask for a refresh once a refusal has passed: that must save the login."""
        self.true += ACCESS_LIFE + REFUSED_RETRY_WAIT
        self.is_right = True
        answer = (await self.keeper.refresh(CONNECTION)).answer
        self.is_right = False
        self.note(f"a person who insists is answered {type(answer).__name__}")
        if not isinstance(answer, Serve):
            raise BrokenRuleError(Rule.LOST, "to one who insists as well")

    def issued_at(self, tokens: Tokens) -> datetime:
        """Return when an access token was issued indeed."""
        return self.provider.access_expires_at[tokens.access_token] - ACCESS_LIFE

    def excuse_unknown_end(self, answer: Serve) -> None:
        """Break the rule, unless the token is dated ahead, and the provider replaces none of it.

        Nobody knows when it ends, then: it is served for one life at most.
        """
        is_ahead = answer.tokens.issued_at > self.true + MAX_CLOCK_SKEW
        was_refused = self.refused_at is not None and self.true < self.refused_at + ACCESS_LIFE
        if not (is_ahead and was_refused and self.provider.has_refused):
            self.excuse_late_look(answer, Rule.EXPIRED)

    def excuse_late_look(self, answer: Serve, rule: Rule) -> None:
        """Break the rule, unless nobody has looked until the wrong time had come round."""
        tokens = answer.tokens
        issued = self.issued_at(tokens)
        if not issued + MAX_CLOCK_SKEW < tokens.issued_at <= self.true:
            raise BrokenRuleError(rule, f"{tokens.access_token}, {self.true - issued} old")


def run_clocks(kind: str, seed: int) -> Tally:
    """Run one seed of clocks that are wrong. Raises SimulationFailedError."""
    world = ClockWorld(kind=kind, random=stream(f"{kind}/{seed}/clocks", "world"))
    log = logging.getLogger("functions")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        asyncio.run(world.live())
    except BrokenRuleError as error:
        head = [str(error), f"replay: python -m tests.simulation.clocks {kind} {seed}"]
        raise SimulationFailedError(error.rule, "\n".join([*head, *world.trace])) from error
    finally:
        log.setLevel(level)
    return Tally(runs=1, logins=world.provider.serial)


if __name__ == "__main__":
    print(run_clocks(sys.argv[1], int(sys.argv[2])))  # noqa: T201 - it prints
