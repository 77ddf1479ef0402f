"""What is posted to Upstash, and what it answers: commands and replies, as JSON."""

import base64
import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, assert_never

from tests.system.redis_connections import Command, CommandError, Reply, Status

Encode: TypeAlias = Callable[[bytes], str]


def read_commands(body: bytes, *, batch: bool) -> list[Command]:
    """Read a body: one command, or a batch of them. Raises ValueError."""
    # A number is passed on as it is written.
    posted = json.loads(body, parse_int=str, parse_float=str, parse_constant=_not_an_argument)
    commands = posted if batch else [posted]
    if not isinstance(commands, list) or not commands:
        raise ValueError("not an array of commands")
    return [_read_command(command) for command in commands]


def _read_command(command: Any) -> Command:
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


def member(reply: Reply, encode: Encode) -> dict[str, object]:
    """The reply as one member of an answer."""
    if isinstance(reply, CommandError):
        return {"error": reply.text}
    return {"result": _result(reply, encode)}


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


def encode_base64(value: bytes) -> str:
    """Every byte, for who asks for `Upstash-Encoding: base64`."""
    return base64.b64encode(value).decode()


def encode_text(value: bytes) -> str:
    """Text, with U+FFFD for what is none."""
    return value.decode(errors="replace")
