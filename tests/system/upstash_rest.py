"""The REST protocol of Upstash in front of a Redis, as an ASGI application with planned faults.

As in https://upstash.com/docs/redis/features/restapi, with one command in the body of a request.
"""

import asyncio
import base64
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, assert_never

from functions.http.messages import Receive, Request, Response, Scope, Send
from functions.http.parameters import MalformedRequestError
from tests.system.redis_connections import (
    Command,
    CommandError,
    Connections,
    RedisAwayError,
    Reply,
    Status,
)

Encode: TypeAlias = Callable[[bytes], str]

FAULT = re.compile(
    r"drop-request|drop-answer|html-502-after|(delay|delay-answer):(?P<seconds>\d+(\.\d+)?)"
)

# The limit of Upstash's smallest plan.
_MAX_BODY_BYTES = 1024 * 1024
_HTML_502 = Response(
    status=502,
    content_type="text/html",
    body=b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>\n",
)


class UpstashRest:
    """The ASGI application: Upstash's endpoint, and those of the tests below `/_control`."""

    def __init__(self, *, redis: Connections, token: str) -> None:
        self._redis = redis
        self._authorization = f"Bearer {token}".encode()
        self._faults: list[tuple[str, str]] = []
        self._requests = 0
        self._executed = 0
        self._in_flight = 0
        self._controls: dict[tuple[str, str], Callable[[Request], object]] = {
            ("GET", "/_control/stats"): lambda _: None,
            ("DELETE", "/_control/stats"): self._reset_stats,
            ("POST", "/_control/faults"): lambda request: self._faults.append(
                tuple(json.loads(request.body))
            ),
            ("DELETE", "/_control/faults"): lambda _: self._faults.clear(),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if control := self._controls.get((scope["method"], scope["path"])):
            control(await Request.from_asgi(scope, receive, max_body_bytes=_MAX_BODY_BYTES))
            await Response.json(200, self._state()).send(send)
            return
        self._requests += 1
        self._in_flight += 1
        try:
            answer = await self._answer(scope, receive)
        finally:
            self._in_flight -= 1
        if answer is None:
            await _start_an_answer_that_never_ends(send)
        else:
            await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the answer, or None where the connection is to be lost."""
        try:
            request = await Request.from_asgi(scope, receive, max_body_bytes=_MAX_BODY_BYTES)
            if (request.method, request.path) != ("POST", "/"):
                return _refusal(404, "ERR only POST /")
            if request.header_values(b"authorization") != [self._authorization]:
                return _refusal(401, "WRONGPASS invalid or missing auth token")
            command = _read_command(request.body)
        except (MalformedRequestError, ValueError, RecursionError) as error:
            return _refusal(400, f"ERR failed to parse the request: {error}")
        in_base64 = request.header_values(b"upstash-encoding") == [b"base64"]
        return await self._meet(command, _encode_base64 if in_base64 else _encode_text)

    async def _meet(self, command: Command, encode: Encode) -> Response | None:
        match self._fault_for(command).partition(":"):
            case ("drop-request", _, _):
                return None
            case ("delay", _, seconds):
                await asyncio.sleep(float(seconds))
                return await self._execute(command, encode)
            case ("delay-answer", _, seconds):
                answer = await self._execute(command, encode)
                await asyncio.sleep(float(seconds))
                return answer
            case ("drop-answer", _, _):
                await self._execute(command, encode)
                return None
            case ("html-502-after", _, _):
                await self._execute(command, encode)
                return _HTML_502
            case _:
                return await self._execute(command, encode)

    def _fault_for(self, command: Command) -> str:
        """Take the first fault whose text is in the command's name or script; empty if none is."""
        name = command[0].upper()
        text = b" ".join(command[:2]) if name.startswith(b"EVAL") else name
        for place, (fault, matching) in enumerate(self._faults):
            if matching.encode() in text:
                if not fault.endswith("*"):
                    del self._faults[place]
                return fault.removesuffix("*")
        return ""

    async def _execute(self, command: Command, encode: Encode) -> Response:
        self._executed += 1
        try:
            reply = await self._redis.run(command)
        except RedisAwayError:
            return _refusal(502, "ERR the database cannot be reached")
        if isinstance(reply, CommandError):
            return _refusal(400, reply.text)
        # The real one names a state of the database. For clients only its changes matter.
        sync_token = ("upstash-sync-token", f"front={self._requests}")
        return Response.json(200, {"result": _result(reply, encode)}, headers=(sync_token,))

    def _state(self) -> dict[str, object]:
        return {
            "requests": self._requests,
            "executed": self._executed,
            "in_flight": self._in_flight,
            "faults": [name for name, _ in self._faults],
        }

    def _reset_stats(self, _request: Request) -> None:
        self._requests = self._executed = 0


def _refusal(status: int, text: str) -> Response:
    return Response.json(status, {"error": text})


async def _start_an_answer_that_never_ends(send: Send) -> None:
    """Promise a body and send none, so that uvicorn closes the connection.

    The client cannot know whether its command ran, as after a timeout.
    """
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _read_command(body: bytes) -> Command:
    """Read a body. Raises ValueError."""
    # A number is passed on as it is written.
    command = json.loads(body, parse_int=str, parse_float=str, parse_constant=_not_an_argument)
    if not isinstance(command, list) or not command:
        raise ValueError("a command is an array that begins with its name")
    return [_read_argument(argument) for argument in command]


def _read_argument(argument: Any) -> bytes:
    match argument:
        case bool():
            return b"true" if argument else b"false"
        case str():
            return argument.encode()
        case _:
            return _not_an_argument(argument)


def _not_an_argument(_value: Any) -> NoReturn:
    raise ValueError("an argument is a string or a number")


def _result(reply: Reply, encode: Encode) -> object:
    match reply:
        case None | int():
            return reply
        case bytes():
            return encode(reply)
        case Status() | CommandError():
            return "OK" if reply == Status("OK") else encode(reply.text.encode())
        case list():
            return [_result(item, encode) for item in reply]
        case _:
            assert_never(reply)


def _encode_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _encode_text(value: bytes) -> str:
    return value.decode(errors="replace")
