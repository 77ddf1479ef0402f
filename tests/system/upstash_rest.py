"""The REST protocol of Upstash in front of a Redis, as one ASGI application that can be spoiled.

As https://upstash.com/docs/redis/features/restapi tells it, without commands in the path, without
streams and without RESP2 answers.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, assert_never

from functions.http.messages import Receive, Request, Response, Scope, Send
from functions.http.parameters import MalformedRequestError
from tests.system.redis_connections import (
    Command,
    CommandError,
    Connections,
    RedisAwayError,
    Reply,
)
from tests.system.upstash_faults import Delay, DelayAnswer, Fault, FaultPlan, Spoiled, Unanswered
from tests.system.upstash_messages import (
    Encode,
    encode_base64,
    encode_text,
    member,
    read_commands,
)

Endpoint: TypeAlias = Callable[[list[Command], Encode], Awaitable[Response]]

# They belong to a connection, or hold one up; over REST there is none.
# What Upstash takes on its smallest plan.
_MAX_BODY_BYTES = 1024 * 1024
_UNAVAILABLE = frozenset(
    b"AUTH BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT DISCARD EXEC HELLO"
    b" MONITOR MULTI PSUBSCRIBE PSYNC QUIT RESET SELECT SHUTDOWN SSUBSCRIBE SUBSCRIBE SYNC UNWATCH"
    b" WAIT WAITAOF WATCH".split()
)


class UpstashRest:
    """The ASGI application: the endpoints of Upstash, and below `/_control` those of the tests."""

    def __init__(self, *, redis: Connections, token: str) -> None:
        self._redis = redis
        self._authorization = f"Bearer {token}".encode()
        self._faults = FaultPlan()
        self._arrived = 0
        self._requests = 0
        self._in_flight = 0
        self._commands: Counter[str] = Counter()
        self._endpoints: dict[str, Endpoint] = {
            "/": self._one,
            "/pipeline": self._pipeline,
            "/multi-exec": self._multi_exec,
        }
        self._controls: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/_control/stats"): self._show_stats,
            ("DELETE", "/_control/stats"): self._reset_stats,
            ("GET", "/_control/faults"): self._show_faults,
            ("POST", "/_control/faults"): self._plan_faults,
            ("DELETE", "/_control/faults"): self._clear_faults,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if control := self._controls.get((scope["method"], scope["path"])):
            await control(
                await Request.from_asgi(scope, receive, max_body_bytes=_MAX_BODY_BYTES)
            ).send(send)
            return
        self._arrived += 1
        self._requests += 1
        self._in_flight += 1
        try:
            answer = await self._answer(scope, receive)
        finally:
            self._in_flight -= 1
        match answer:
            case Response():
                await answer.send(send, without_body=scope["method"] == "HEAD")
            case Unanswered():
                await _start_an_answer_that_never_ends(send)
            case _:
                assert_never(answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | Unanswered:
        try:
            request = await Request.from_asgi(scope, receive, max_body_bytes=_MAX_BODY_BYTES)
        except MalformedRequestError as error:
            return _refusal(error.status, f"ERR {error}")
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            return _refusal(404, "ERR there is nothing at this path")
        if request.method != "POST":
            return _refusal(405, "ERR here only POST", ("allow", "POST"))
        if request.header_values(b"authorization") != [self._authorization]:
            return _refusal(401, "WRONGPASS invalid or missing auth token")
        try:
            commands = read_commands(request.body, batch=request.path != "/")
        except (ValueError, RecursionError) as error:
            return _refusal(400, f"ERR failed to parse the request: {error}")
        return await self._meet(
            self._faults.meet(commands), lambda: self._execute(request, endpoint, commands)
        )

    async def _meet(
        self, fault: Fault | None, execute: Callable[[], Awaitable[Response]]
    ) -> Response | Unanswered:
        match fault:
            case None:
                return await execute()
            case Delay():
                await asyncio.sleep(fault.seconds)
                return await execute()
            case DelayAnswer():
                answer = await execute()
                await asyncio.sleep(fault.seconds)
                return answer
            case Spoiled():
                if fault.executed:
                    await execute()
                return fault.answer
            case _:
                assert_never(fault)

    async def _execute(
        self, request: Request, endpoint: Endpoint, commands: list[Command]
    ) -> Response:
        in_base64 = request.header_values(b"upstash-encoding") == [b"base64"]
        try:
            return await endpoint(commands, encode_base64 if in_base64 else encode_text)
        except RedisAwayError:
            return _refusal(502, "ERR the database cannot be reached")

    async def _one(self, commands: list[Command], encode: Encode) -> Response:
        answer = member(await self._run(commands[0]), encode)
        return self._answered(400 if "error" in answer else 200, answer)

    async def _pipeline(self, commands: list[Command], encode: Encode) -> Response:
        # One after the other, and others' commands may come between.
        members = [member(await self._run(command), encode) for command in commands]
        return self._answered(200, members)

    async def _multi_exec(self, commands: list[Command], encode: Encode) -> Response:
        replies = await self._run_atomically(commands)
        if isinstance(replies, CommandError):
            return self._answered(400, {"error": replies.text})
        return self._answered(200, [member(reply, encode) for reply in replies])

    async def _run(self, command: Command) -> Reply:
        if refused := _refused([command]):
            return refused
        self._count([command])
        return await self._redis.run(command)

    async def _run_atomically(self, commands: list[Command]) -> list[Reply] | CommandError:
        if refused := _refused(commands):
            return refused
        self._count(commands)
        return await self._redis.run_atomically(commands)

    def _count(self, commands: Sequence[Command]) -> None:
        self._commands.update(command[0].decode().upper() for command in commands)

    def _answered(self, status: int, members: object) -> Response:
        # The real one names a state of the database; only that it changes matters to a client.
        sync_token = ("upstash-sync-token", f"front={self._arrived}")
        body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        return Response(status=status, body=body, headers=(sync_token,))

    def _show_stats(self, _request: Request) -> Response:
        stats = {
            "requests": self._requests,
            "commands": self._commands,
            "in_flight": self._in_flight,
        }
        return Response.json(200, stats)

    def _reset_stats(self, request: Request) -> Response:
        self._requests = 0
        self._commands.clear()
        return self._show_stats(request)

    def _show_faults(self, _request: Request) -> Response:
        return Response.json(200, {"faults": self._faults.names()})

    def _plan_faults(self, request: Request) -> Response:
        for fault in json.loads(request.body):
            self._faults.add(fault["name"], matching=fault["matching"])
        return self._show_faults(request)

    def _clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return self._show_faults(request)


def _refused(commands: Sequence[Command]) -> CommandError | None:
    for name in (command[0].upper() for command in commands):
        if name in _UNAVAILABLE:
            return CommandError(f"ERR Command is not available: '{name.decode()}'")
    return None


def _refusal(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return Response.json(status, {"error": text}, headers=headers)


async def _start_an_answer_that_never_ends(send: Send) -> None:
    """Promise a body and send none, so that the server closes the connection (uvicorn does).

    The client reads a status and then loses the peer before the body; it cannot know whether its
    commands ran, as after a timeout.
    """
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
