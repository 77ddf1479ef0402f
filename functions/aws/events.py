"""AWS's HTTP events, and the members that each kind always has.

Mangum reads missing members as empty, and misreads some shapes. A missing query would select the
default connection and return the wrong token, so incomplete events are refused.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Event: TypeAlias = dict[str, object]

_QUERIES = ("queryStringParameters", "multiValueQueryStringParameters")
_KINDS = "HTTP API, Function URL, REST API, or load balancer"
_MEMBERS_SHOWN = 20
# Headers that Mangum parses, though nothing here reads them, and their valid forms.
_PARSED_HEADERS = {
    "host": re.compile(r"[^:]*(:[0-9]{1,5})?"),
    "x-forwarded-port": re.compile(r"[0-9]{1,5}"),
}


class UnknownEventError(Exception):
    """An event that is not a readable HTTP request; the text quotes no value of it."""


def require_http_event(event: object) -> Event:
    """Return the event if it is a complete HTTP request.

    Raises UnknownEventError.
    """
    match event:
        case dict() if _is_v2(event) or _is_v1(event) or _is_load_balancer(event):
            return _require_shapes(event)
        case dict():
            members = ", ".join(sorted(map(str, event))[:_MEMBERS_SHOWN])
            raise UnknownEventError(f"not an event of {_KINDS}, or incomplete: {members}")
        case _:
            raise UnknownEventError(f"not an event of {_KINDS}: a {type(event).__name__}")


def unreadable_part(event: Event) -> str | None:
    """Name a part that the client sent malformed; None if there is none.

    AWS passes such parts on, so this is a client error and not a failure of the function.
    """
    try:
        json.dumps({**event, "body": None}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "text that is not UTF-8"
    for name, pattern in _PARSED_HEADERS.items():
        if not all(pattern.fullmatch(value) for value in _header_values(event, name)):
            return f"a malformed header {name}"
    return None


def without_sender_parts(event: Event) -> Event:
    """Return the event without the client's parts, to answer it in its own format."""
    emptied: Event = {name: {} for name in ("headers", "multiValueHeaders") if event.get(name)}
    context = event["requestContext"]
    if isinstance(context, dict) and "http" in context:
        context = {**context, "http": {**context["http"], "path": "/"}}
    rest = event.keys() - {"cookies", "path", "body", *_QUERIES}
    return {
        **{name: event[name] for name in rest},
        **emptied,
        **{name: {} for name in _QUERIES if name in event},
        "rawQueryString": "",
        "requestContext": context,
        "path": "/",
    }


def _header_values(event: Event, name: str) -> Iterator[str]:
    for member in ("headers", "multiValueHeaders"):
        headers = event.get(member)
        for key, value in headers.items() if isinstance(headers, dict) else ():
            if key.lower() == name:
                # As Mangum reads several values.
                yield value if isinstance(value, str) else ", ".join(value)


def _require_shapes(event: Event) -> Event:
    """Return the event if its members have AWS's shapes, as deep as Mangum reads."""
    for name in _misshapen(event):
        raise UnknownEventError(f"unreadable HTTP event: {name}")
    return event


def _misshapen(event: Event) -> Iterator[str]:
    for name in ("headers", "queryStringParameters"):
        if not _are_texts(_values(event.get(name))):
            yield name
    for name in ("multiValueHeaders", "multiValueQueryStringParameters"):
        if not all(map(_is_list, _values(event.get(name)))):
            yield name
    if not _is_body(event.get("body"), is_base64=event["isBase64Encoded"] is True):
        yield "body"


def _values(member: object) -> Iterable[object]:
    return member.values() if isinstance(member, dict) else ()


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and _are_texts(value)


def _is_body(body: object, *, is_base64: bool) -> bool:
    if not isinstance(body, str):
        return body is None
    return not is_base64 or _is_base64(body)


def _is_base64(body: str) -> bool:
    """Whether all of the body is base64; Mangum would skip other characters."""
    try:
        b64decode(body, validate=True)
    except ValueError:
        return False
    return True


def _is_v2(event: Event) -> bool:
    """Whether this is the payload format 2.0, of an HTTP API or a Function URL."""
    match event:
        case {
            "version": "2.0",
            "requestContext": {"http": {"method": str(), "path": str(), "sourceIp": str()}},
            "rawQueryString": str(),
            "headers": {},
            "isBase64Encoded": bool(),
        }:
            return True
        case _:
            return False


def _is_v1(event: Event) -> bool:
    """Whether this is the payload of a REST API, or the format 1.0 of an HTTP API."""
    match event:
        case {
            "resource": str(),
            "requestContext": {},
            "httpMethod": str(),
            "path": str(),
            "headers": {} | None,
            "multiValueHeaders": {} | None,
            "queryStringParameters": {} | None,
            "multiValueQueryStringParameters": {} | None,
            "isBase64Encoded": bool(),
        }:
            return event.get("version", "1.0") == "1.0"
        case _:
            return False


def _is_load_balancer(event: Event) -> bool:
    """Whether this is a load balancer's payload, with or without multi-value headers."""
    match event:
        case {
            "requestContext": {"elb": {}},
            "httpMethod": str(),
            "path": str(),
            "isBase64Encoded": bool(),
        }:
            return _has_parts(event)
        case _:
            return False


def _has_parts(event: Event) -> bool:
    match event:
        case {"multiValueHeaders": {}, "multiValueQueryStringParameters": {}}:
            return True
        case {"headers": {}, "queryStringParameters": {}}:
            # Only the last value of a repeated parameter.
            return True
        case _:
            return False
