"""A connection that adopts tokens of other programs: several logins, and an oracle for each.

A record before a proof has tokens of two logins. Each oracle judges what the record has of its own
login, as if there were no other, and `adoption_judge.py` judges what takes the place of what.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.commands import Answer, AskForAuthorization, Serve
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Grant,
    Inactive,
    Refreshing,
    Unauthorized,
)
from domain.token_endpoint import TokenResponse
from functions.http.problems import ProblemError
from functions.login.adopted_body import AdoptedBody
from functions.login.adoptions import Adoptions
from functions.refresh.keeper import QuestionResult
from functions.refresh.sweep_outcomes import SweepOutcome, outcome_of
from tests.domain.examples import T0
from tests.simulation.adopted_logins import Login, adopted_name, in_charge, name_of, parts_of
from tests.simulation.adoption_judge import AdoptionJudge
from tests.simulation.connection import NO_TIME, Connection
from tests.simulation.exchanges import Call, Loss, RequestKind
from tests.simulation.history import History
from tests.simulation.instance import Instance
from tests.simulation.loop import Process
from tests.simulation.oracle import Oracle
from tests.simulation.promises import LEASE, LONGEST_RETRY_AFTER, BrokenRuleError, Rule
from tests.simulation.surroundings import SkewedClock

ACCOUNTS = ("mine", "mine", "yours")
AN_HOUR = LONGEST_RETRY_AFTER.total_seconds()


@dataclass(eq=False, kw_only=True)
class AdoptingConnection(Connection):
    """A connection, the logins whose tokens it has had, and the tokens that it was sent."""

    by_name: dict[str, Login] = field(default_factory=dict)
    # The logins that other programs have, in the order in which they were sent.
    sent: list[Login] = field(default_factory=list)
    changes: AdoptionJudge = field(init=False)
    # How many of the logins have answers that name the account.
    named_part: float = field(init=False)
    is_logging_in: bool = False
    # The last answer that came while something changed.
    unjudged: Answer | None = None
    changed_at: datetime = T0 - timedelta(days=1)
    _record: Grant = field(default_factory=Unauthorized)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.changes = AdoptionJudge(logins=self.by_name)
        self.named_part = self.world.random.choice((0, 1 / 2, 1, 1))

    # The logins.

    def _add_login(self, account: str) -> Login:
        world, name = self.world, f"{self.name}.{len(self.by_name) + 1}."
        provider = world.kind.simulated(world.access_life, world.refresh_life, name=name)
        history = History(kind=world.kind, policy=world.policy, provider=provider)
        is_named = world.random.random() < self.named_part
        login = self.by_name[name] = Login.at(history, account=account, is_named=is_named)
        return login

    def history_of(self, token: str) -> History:
        """Return the history of the login that has a token."""
        return self.by_name[name_of(token)].history

    def oracle_of(self, token: str) -> Oracle:
        """Return the judge of the login that has a token."""
        return self.by_name[name_of(token)].oracle

    def authorize(self, now: datetime) -> TokenResponse:
        """Let the provider start a login of its own."""
        return self._add_login(ACCOUNTS[0]).begin(now)

    async def log_in(self) -> None:
        """Let the person log in. Until then, no request for a login is judged."""
        self.is_logging_in = True
        await super().log_in()
        self.is_logging_in = False
        self.changed_at = self.world.now()

    def write_failed(self, process: Process, *, times: int = 1) -> None:
        """Note that the store fails an instance that writes."""
        for login in self.by_name.values():
            login.history.write_failed(process, times=times)

    def stalled(self, process: Process, until: datetime) -> None:
        """Note that an instance stalls."""
        for login in self.by_name.values():
            login.history.stalled(process, until)

    def tally(self) -> tuple[int, Counter[Loss]]:
        """Return how many requests there were, and why logins were lost."""
        losses = Counter(self.changes.losses)
        for login in self.by_name.values():
            losses += login.history.losses
        return sum(len(login.history.exchanges) for login in self.by_name.values()), losses

    # The store.

    @property
    def record(self) -> Grant:
        """The grant that is in the store."""
        return self._record

    @property
    def is_adopting(self) -> bool:
        """Whether adopted tokens wait for their proof."""
        return isinstance(self._record, Adopting)

    def stored(self, process: Process, call: Call, grant: Grant) -> None:
        """Judge what replaces the record, as a whole and for each login."""
        before, self._record, now = self._record, grant, self.world.now()
        self._note_change(before, grant, now)
        is_beginning = adopted_name(grant) not in {None, adopted_name(before)}
        for name, part in parts_of(grant).items():
            was = parts_of(before).get(name)
            if is_beginning and isinstance(was, Refreshing):
                # Its lease has run out, and the adoption says so.
                self.by_name[name].history.grant = part
            elif part != was:
                self.by_name[name].oracle.stored(process, call, part, now)
        if not self.world.is_spoilt:
            self.changes.changed(before, grant, call, now)
        for name in parts_of(before).keys() - parts_of(grant).keys():
            self.by_name[name].leave(now)
        self._take_charge(grant)

    def put_back(self, grant: Grant) -> None:
        """Note what takes the place of a record that is lost."""
        before, self._record, now = self._record, grant, self.world.now()
        self._note_change(before, grant, now)
        for name in parts_of(before).keys() - parts_of(grant).keys():
            self.by_name[name].leave(now)
        for name, part in parts_of(grant).items():
            self.by_name[name].oracle.put_back(part, now)
        self._take_charge(grant)

    def _note_change(self, before: Grant, grant: Grant, now: datetime) -> None:
        is_other = parts_of(before).keys() != parts_of(grant).keys()
        if is_other or isinstance(before, Adopting) or isinstance(grant, Adopting):
            self.changed_at = now
            for login in self.by_name.values():
                login.judge.aside_at = now

    def _take_charge(self, grant: Grant) -> None:
        """Have the login judged whose tokens are in use."""
        if (current := in_charge(grant)) is not None:
            login = self.by_name[name_of(str(current.tokens.refresh_token))]
            self.history, self.oracle, self.judge = login.history, login.oracle, login.judge

    # Answers.

    def take(self, call: Call, answer: Answer) -> None:
        """Judge an answer by the login whose tokens it has."""
        if isinstance(answer, Serve):
            with self.world.judging():
                self._judge_served(call, answer)
        elif self.world.is_spoilt or not self._is_changing(call):
            super().take(call, answer)
        else:
            self.unjudged = answer

    def _is_unclear(self, answer: AskForAuthorization) -> bool:
        """Whether to ask once more: an answer while something changes is not judged."""
        return answer is self.unjudged or super()._is_unclear(answer)

    def _judge_served(self, call: Call, answer: Serve) -> None:
        token = answer.tokens.access_token
        if not token:
            raise BrokenRuleError(Rule.UNPROVEN, f"{answer.tokens.refresh_token} is served")
        login, now = self.by_name[name_of(token)], self.world.now()
        login.judge.answered(call, answer, now)
        login.history.provider.use(token, now)

    def _is_changing(self, call: Call) -> bool:
        """Whether another login may have come since the answering instance read the store."""
        return self.is_adopting or self.is_logging_in or call.read_from <= self.changed_at

    def open(self, instance: Instance, kind: RequestKind, min_ttl: timedelta = NO_TIME) -> Call:
        """Note that a call begins. Nothing is ready where the earlier tokens are in doubt."""
        call = super().open(instance, kind, min_ttl)
        earlier = self._record.earlier if isinstance(self._record, Adopting) else None
        if isinstance(earlier, Authorized) and earlier.failure_state is not None:
            self.ready.discard(call.number)
        return call

    def _judge_wait(self, call: Call) -> None:
        is_elsewhere = any(
            login.history.is_in_flight() or login.history.in_flight_at >= call.read_from
            for login in self.by_name.values()
        )
        is_unclear = is_elsewhere or self._is_changing(call) or call.kind is RequestKind.ADOPT
        if call.number in self.ready or not is_unclear:
            super()._judge_wait(call)

    def swept(self, call: Call, result: QuestionResult) -> SweepOutcome:
        """Judge the answer to the sweep, where it is about one login."""
        parts = parts_of(result.before).keys() | parts_of(result.after).keys()
        if len(parts) == 1 and not isinstance(result.before, Adopting):
            [name] = parts
            return self.by_name[name].judge.swept(call, result)
        return outcome_of(result)

    # Adoptions.

    def send_tokens(self, instance: Instance) -> "asyncio.Task[None]":
        """Let somebody send a refresh token of another program, or the last one again."""
        world, random = self.world, self.world.random
        if self.sent and random.random() < 1 / 3:
            login = random.choice(self.sent[-2:])
        else:
            login = self._add_login(random.choice(ACCOUNTS))
            login.history.is_adopted = True
            # As `docs/adopt.md` has it: where a refresh comes too early, one waits first.
            is_early = world.kind.rules.refuses_early is not None
            oldest = world.access_life if is_early else timedelta(0)
            age = max(oldest, random.choice((0, 0, 1 / 4, 1 / 2)) * world.refresh_life)
            login.begin(world.now() - age)
            self.sent.append(login)
        call = self.open(instance, RequestKind.ADOPT)
        replaces, knows_account = random.random() < 1 / 2, random.random() < 1 / 2
        work = self._adopt(instance, call, login, replaces=replaces, knows=knows_account)
        return instance.run(world.loop.create_task, work)

    async def _adopt(
        self, instance: Instance, call: Call, login: Login, *, replaces: bool, knows: bool
    ) -> None:
        self.hear(call)
        what = f"{self.name}: adopts {login.token}{', replacing' if replaces else ''}"
        self.world.note(instance.name, f"{what}, of {login.account if knows else 'somebody'}")
        id_token = login.account if knows else None
        body = AdoptedBody(refresh_token=login.token, id_token=id_token)
        try:
            result = await self._adoptions(instance).adopt(self.name, body, replaces=replaces)
        except ProblemError as problem:
            self.close(call, problem.problem.name)
            with self.world.judging():
                is_dead = not replaces and self._was_dead(call)
                self.changes.answered(login, problem.problem.name, is_dead=is_dead)
        except Exception as error:  # noqa: BLE001 - it is judged
            self.fail(call, error)
        else:
            is_adopted = isinstance(result.answer, Serve)
            self.close(call, "adopted" if is_adopted else type(result.answer).__name__)
            with self.world.judging():
                self._judge_adopted(login, result)

    def _adoptions(self, instance: Instance) -> Adoptions:
        return Adoptions(
            keeper=instance.keeper,
            recorder=instance.recorder,
            clock=SkewedClock(self.world, instance),
            policy=self.world.policy,
            subject_of=lambda id_token: id_token,
        )

    def _judge_adopted(self, login: Login, result: QuestionResult) -> None:
        """Judge whether tokens are adopted as reported."""
        if not isinstance(result.answer, Serve):
            return
        token = result.answer.tokens.access_token
        if not token or self.by_name[name_of(token)] is not login:
            raise BrokenRuleError(Rule.ADOPTION_ANSWER, f"{token} for {login.token}")
        if not (login.history.had(token) or login.history.is_rescued(token)):
            raise BrokenRuleError(Rule.STORED_FIRST, token)

    def _was_dead(self, call: Call) -> bool:
        """Whether nothing was there to keep, from before a call until now."""
        is_old = max(self.history.written_at, self.changed_at) < call.read_from
        is_dead = isinstance(self._record, Inactive | AuthorizationRequired)
        return is_dead and is_old and not self.is_logging_in

    def use_elsewhere(self) -> None:
        """Let another program use the refresh token that it should have forgotten."""
        login = self.world.random.choice(self.sent)
        login.use_elsewhere(self.world.now())
        self.world.note("another", f"{self.name}: uses {login.token}")

    def waits(self, now: datetime) -> list[float]:
        """Return until when others have to wait for either login, in seconds from the start."""
        parts = parts_of(self._record).values()
        return [at for part in parts for at in self.waits_of(part, now)]

    # The end.

    async def heal(self) -> None:
        """Judge what is there; then the sweep proves what waits."""
        await super().heal()
        if not self.is_adopting:
            return
        await asyncio.sleep(AN_HOUR)
        for _ in range(2):
            await self.world.begin_sweep(await self.world.some_instance())
            await asyncio.sleep(LEASE.total_seconds())
        if isinstance(self._record, Adopting) and not self.world.is_spoilt:
            raise BrokenRuleError(Rule.NOT_PROVEN, self.name)

    def settle(self) -> None:
        """Judge what the store has of each login when all instances are well and idle."""
        for name in parts_of(self._record):
            login = self.by_name[name]
            if not login.history.is_used_elsewhere:
                login.oracle.settled(self.world.now())
