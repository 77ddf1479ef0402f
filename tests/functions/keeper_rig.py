"""A keeper to test by itself, with a store that counts and fails, and a scripted provider."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.store_memory import MemoryStore
from domain.grant import Authorized, Grant, tokens_of
from domain.ledger import Ledger
from domain.policy import Policy
from domain.token_endpoint import (
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenRequest,
)
from domain.tokens import Tokens
from functions.refresh.keeper import Keeper, intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.rescue import RescuedRecord, UnreadableLine
from ports.store import Record, StoreUnavailableError
from tests.domain.examples import ACCESS_LIFE, POLICY, REFRESH_LIFE, RESPONSE, TOKENS
from tests.records import record_of

Reply = Callable[[], Awaitable[Outcome]]


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


async def some_keys() -> list[bytes]:
    return [b"a key"]


class ScriptedServer:
    """A token endpoint that replies as the test says, and records requests."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[TokenRequest] = []
        self.revoked: list[RevocationRequest] = []
        # The result of a revocation; None for no answer at all.
        self.revocation: RevocationOutcome | None = RevocationResult.REVOKED

    def answer(self, *outcomes: Outcome) -> None:
        """Answer with these outcomes in turn, and then with the last one."""
        left = list(outcomes)

        async def reply() -> Outcome:
            return left.pop(0) if len(left) > 1 else left[0]

        self.reply = reply

    def hold(self, outcome: Outcome = RESPONSE) -> tuple[asyncio.Event, asyncio.Event]:
        """Hold requests. Return an event that the first one sets, and one that releases them."""
        is_sent, may_answer = asyncio.Event(), asyncio.Event()

        async def reply() -> Outcome:
            is_sent.set()
            await may_answer.wait()
            return outcome

        self.reply = reply
        return is_sent, may_answer

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        self.requests.append(request)
        return await self.reply()

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        self.revoked.append(request)
        if self.revocation is None:
            await asyncio.Event().wait()
        assert self.revocation is not None
        return self.revocation


class CountingStore(MemoryStore):
    """A store that counts its round trips, and fails where the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.etags: list[str] = []
        self.failing_swaps: set[int] = set()
        self.applies_failing_swaps = False
        self.fault: Exception = StoreUnavailableError("planned")

    async def load(self, connection: str) -> Record:
        self.loads += 1
        await asyncio.sleep(0)
        return await super().load(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        self.etags.append(str(record.etag))
        fails = len(self.etags) in self.failing_swaps
        if not fails or self.applies_failing_swaps:
            await super().swap(connection, record, expected_etag=expected_etag)
        if fails:
            raise self.fault


def tokens_with(left: timedelta, *, refresh_left: timedelta = REFRESH_LIFE) -> Tokens:
    """Tokens with so much left of the access token, and of the refresh token."""
    now = datetime.now(tz=TOKENS.issued_at.tzinfo)
    return replace(
        TOKENS,
        issued_at=min(now + left - ACCESS_LIFE, now + refresh_left - REFRESH_LIFE),
        expires_at=now + left,
        refresh_token_expires_at=now + refresh_left,
    )


EXPIRED = timedelta(seconds=-1)
NEAR_ITS_END = timedelta(minutes=4)
FRESH = timedelta(minutes=20)


async def answered() -> Outcome:
    return RESPONSE


class RescueList:
    """A rescue that only records."""

    def __init__(self) -> None:
        self.emitted: list[RescuedRecord] = []

    def emit(self, rescued: RescuedRecord) -> None:
        self.emitted.append(rescued)

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        raise NotImplementedError(line)


class KeeperRig:
    """One store, one provider, and as many instances as the test needs."""

    def __init__(self, reply: Reply = answered, *, by: Policy = POLICY) -> None:
        self.store = CountingStore()
        self.server = ScriptedServer(reply)
        self.policy = by
        self.rescue = RescueList()
        self._recorders: dict[Keeper, Recorder] = {}

    def instance(
        self,
        server: Callable[[], AuthorizationServer] | None = None,
        clock: Clock | None = None,
    ) -> Keeper:
        clock, entropy = clock or SystemClock(), SystemEntropy()
        poller = Poller(self.store)
        recorder = Recorder(
            store=self.store,
            clock=clock,
            entropy=entropy,
            rescue=self.rescue,
            revoke_late_tokens=lambda *late: self.revocations(keeper).revoke_late_tokens(*late),
            policy=self.policy,
        )
        keeper = Keeper(
            recorder=recorder,
            server=server or (lambda: self.server),
            clock=clock,
            entropy=entropy,
            policy=self.policy,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        self._recorders[keeper] = recorder
        return keeper

    def recorder_of(self, keeper: Keeper) -> Recorder:
        """Return the recorder of an instance, which all its parts share as in the product."""
        return self._recorders[keeper]

    def revocations(self, keeper: Keeper) -> Revocations:
        return Revocations(
            keeper=keeper, recorder=self.recorder_of(keeper), server=lambda: self.server
        )

    def sweep(
        self,
        keeper: Keeper | None = None,
        clock: Clock | None = None,
        *,
        entropy: Entropy | None = None,
        client_of: Callable[[str], str | None] = lambda _: None,
        alerts_are_on: bool = False,
    ) -> Sweep:
        keeper = keeper or self.instance()
        return Sweep(
            keeper_of=lambda _: keeper,
            revocations_of=lambda _: self.revocations(keeper),
            store=self.store,
            clock=clock or SystemClock(),
            entropy=entropy,
            client_of=client_of,
            alerts_are_on=alerts_are_on,
        )

    async def keep(
        self,
        left: timedelta,
        connection: str = "c",
        *,
        refresh_left: timedelta = REFRESH_LIFE,
    ) -> None:
        await MemoryStore.swap(
            self.store,
            connection,
            record_of(Authorized(tokens=tokens_with(left, refresh_left=refresh_left)), "first"),
            expected_etag=None,
        )

    async def write(
        self, grant: Grant, connection: str = "c", *, ledger: Ledger | None = None
    ) -> Record:
        """Store a grant as another instance does, with the next etag."""
        there = await MemoryStore.load(self.store, connection)
        record = there if ledger is None else replace(there, ledger=ledger)
        recorder = self.recorder_of(self.instance())
        return await recorder.swap(connection, record, grant, None, now=datetime.now(UTC))

    async def grant(self, connection: str = "c") -> Grant:
        return (await MemoryStore.load(self.store, connection)).grant

    async def tokens(self, connection: str) -> Tokens:
        found = tokens_of(await self.grant(connection))
        assert found is not None
        return found
