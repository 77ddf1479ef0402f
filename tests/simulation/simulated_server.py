"""The provider's token endpoint, behind a network that loses and delays."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenRequest,
)
from tests.domain.provider_model import INVALID_GRANT
from tests.simulation.exchanges import Exchange
from tests.simulation.faults import NetworkFault, Point
from tests.simulation.history import History
from tests.simulation.instance import Instance
from tests.simulation.loop import current_process
from tests.simulation.promises import LEASE, SKEW
from tests.simulation.provider import SimulatedProvider

if TYPE_CHECKING:
    from tests.simulation.world import World

REQUEST_TIMEOUT = timedelta(seconds=30).total_seconds()
REFUSALS = {
    NetworkFault.UNAVAILABLE: TokenErrorResponse(status=503, error=None),
    NetworkFault.SERVER_ERROR: TokenErrorResponse(status=500, error=None),
    NetworkFault.UNEXPLAINED: TokenErrorResponse(status=400, error=None),
}
# For how long a provider can be away, and what its clients see of that.
ABSENCES = (600.0, 7200.0, 21600.0)
WAYS_TO_BE_AWAY = (
    NetworkFault.UNAVAILABLE,
    NetworkFault.TOO_MANY,
    NetworkFault.NOT_SENT,
    NetworkFault.REQUEST_LOST,
)
# How long a request travels at most, there or back.
SLOWEST_ANSWERS = (1.0, 1.0, 12.0)
# When the sender of a request notices that its connection is gone.
SOONEST_CUT = 0.5


class SimulatedServer:
    """The provider's token endpoint, behind a network that loses and delays."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.away_until = -1.0
        self.slowest = world.fate.choice(SLOWEST_ANSWERS)
        self._absence = NetworkFault.UNAVAILABLE

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send a request, and wait for its answer until the timeout."""
        assert isinstance(request, RefreshTokenRequest)
        world, process = self._world, current_process()
        assert isinstance(process, Instance)
        clock = world.now() + timedelta(seconds=process.skew)
        connection = world.connection_of(request.refresh_token)
        with world.judging():
            oracle = connection.oracle_of(request.refresh_token)
            exchange = oracle.sent(process, request.refresh_token, world.now(), clock)
        fault = self._fault(connection.name)
        said = f": {fault.value}" if fault else ""
        world.note(process.name, f"request {exchange.number} with {request.refresh_token}{said}")
        outcome = await self._carry(exchange, fault)
        exchange.ended_at = world.now()
        return outcome

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Carry a revocation there, and its answer back, if the network lets it."""
        world = self._world
        fault = self._fault(world.connection_of(request.token).name)
        said = f": {fault.value}" if fault else ""
        world.note(current_process().name, f"revokes {request.token}{said}")
        await asyncio.sleep(world.latency(self.slowest))
        if fault in {*REFUSALS, NetworkFault.TOO_MANY}:
            return self._refusal(fault)
        if fault not in {NetworkFault.NOT_SENT, NetworkFault.REQUEST_LOST}:
            subject = world.connection_of(request.token)
            subject.history_of(request.token).provider.revoke(request.token)
            world.note("provider", f"{request.token} is revoked")
        if fault is not None:
            return NoAnswer(delivery=Delivery.UNKNOWN, reason="simulated")
        return RevocationResult.REVOKED

    def _fault(self, _connection: str) -> NetworkFault | None:
        """Decide what becomes of a request for a connection."""
        world = self._world
        if world.loop.time() < self.away_until:
            return self._absence
        fault = world.faults.on_request()
        if fault is not None:
            world.injected[fault.value] += 1
        if fault is NetworkFault.AWAY:
            self.away_until = world.loop.time() + world.fate.choice(ABSENCES)
            fault = self._absence = world.fate.choice(WAYS_TO_BE_AWAY)
        return fault

    async def _carry(self, exchange: Exchange, fault: NetworkFault | None) -> Outcome:
        world = self._world
        answer: asyncio.Future[Outcome] = world.loop.create_future()
        there, back = world.latency(self.slowest), world.latency(self.slowest)
        deliver = partial(self._deliver, exchange, answer)
        match fault:
            case None:
                world.later(there, self._land, exchange, deliver, back)
            case NetworkFault.ANSWER_DELAYED:
                delay = (REQUEST_TIMEOUT - 0.5 - there) * world.fate.random()
                world.later(there, self._land, exchange, deliver, delay)
            case NetworkFault.ANSWER_LOST:
                world.later(there, self._land, exchange, None, 0)
            case NetworkFault.CUT:
                world.later(there, self._land, exchange, None, 0)
                world.later(there + SOONEST_CUT, self._cut, answer)
            case NetworkFault.LANDS_LATE:
                world.later(self._late(exchange), self._land, exchange, deliver, back)
            case NetworkFault.LANDS_AFTER_LEASE:
                exchange.lands_after_lease = True
                after = world.fate.choice((1, 10, 60, 300))
                world.later(LEASE.total_seconds() + 5 + after, self._land, exchange, None, 0)
            case NetworkFault.NOT_SENT | NetworkFault.REQUEST_LOST:
                exchange.may_land = False
            case _:
                exchange.may_land = False
                world.later(there + back, deliver, self._refusal(fault))
        if fault is NetworkFault.NOT_SENT:
            exchange.is_refused = True
            await asyncio.sleep(there)
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="simulated")
        world.reach(exchange.sender, Point.SENT)
        timeout = world.loop.call_later(REQUEST_TIMEOUT, self._time_out, answer)
        outcome = await answer
        timeout.cancel()
        return outcome

    def _late(self, exchange: Exchange) -> float:
        """Draw a delay after which the request still lands within its lease, by any clock."""
        world = self._world
        left = (exchange.attempt.started_at + LEASE - SKEW - world.now()).total_seconds() - 0.001
        return world.fate.choice((left, left * world.fate.random()))

    def _refusal(self, fault: NetworkFault) -> TokenErrorResponse:
        if fault is NetworkFault.TOO_MANY:
            wait = timedelta(seconds=self._world.fate.choice((1, 61, 600, 200_000)))
            return TokenErrorResponse(status=429, error=None, retry_after=wait)
        return REFUSALS[fault]

    def _land(
        self, exchange: Exchange, deliver: Callable[[Outcome], None] | None, back: float
    ) -> None:
        world = self._world
        history = self._history(exchange)
        self._turn_cold(history.provider)
        history.landed(exchange, world.now(), rotates=world.fate.random() < 1 / 2)
        response = exchange.response
        said = f"{response.access_token}, {response.refresh_token}" if response else "invalid_grant"
        world.note("provider", f"request {exchange.number} lands: {said}")
        if deliver is not None:
            world.later(back, deliver, response or INVALID_GRANT)

    def _history(self, exchange: Exchange) -> History:
        connection = self._world.connection_of(exchange.refresh_token)
        return connection.history_of(exchange.refresh_token)

    def _turn_cold(self, provider: SimulatedProvider) -> None:
        """Let a provider that now and then refuses for a while begin with that."""
        length, now = provider.kind.refuses_for, self._world.now()
        is_over = provider.refuses_until is None or provider.refuses_until <= now
        if length is not None and is_over and self._world.fate.random() < 1 / 3:
            provider.refuses_until = now + length

    def _deliver(
        self, exchange: Exchange, answer: asyncio.Future[Outcome], outcome: Outcome
    ) -> None:
        world, process = self._world, exchange.sender
        if not process.is_alive:
            return
        if answer.done():
            exchange.came_too_late = True
            return
        # Also to an instance that is frozen: it reads what is there when it wakes up.
        answer.set_result(outcome)
        history = self._history(exchange)
        history.delivered(exchange, outcome, world.now())
        world.note(process.name, f"request {exchange.number} is answered")
        world.reach(process, Point.ANSWERED)

    @staticmethod
    def _cut(answer: asyncio.Future[Outcome]) -> None:
        if not answer.done():
            answer.set_result(NoAnswer(delivery=Delivery.UNKNOWN, reason="cut"))

    @staticmethod
    def _time_out(answer: asyncio.Future[Outcome]) -> None:
        if not answer.done():
            answer.set_result(NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout"))
