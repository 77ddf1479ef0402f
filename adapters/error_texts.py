"""The error codes and texts of a provider's response, at any place in its body.

It walks the body breadth first, within limits that no real body reaches. It also reads JSON inside
a text, as gateways pass it on.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias

# Names in lower case without `_` and `-`, by precedence.
_CODE_NAMES = (
    *("error", "errorcode", "code", "suberror", "errorsubtype", "errorreason", "errortype"),
    *("ecode", "err", "status", "reason", "message", "errormessage", "type", "title"),
)
_TEXT_NAMES = (
    *("errordescription", "errordetails", "detail", "message", "msg", "errormessage", "errmsg"),
    *("faultstring", "description", "errorsummary", "hint", "errorhint", "developermessage"),
    *("reason", "error", "errors", "err", "title"),
)
# Under these names a word is a code only if it looks like one.
_AMBIGUOUS_NAMES = frozenset({"status", "reason", "message", "errormessage"})
# Under these names a number is a code of the provider (Withings, WeChat, Reddit).
_NUMBER_NAMES = frozenset({"error", "errorcode", "code", "errcode", "errno", "status"})
# Entra's error numbers; its texts use the prefix AADSTS.
_NUMBERS = "errorcodes"
_HIGHEST_NUMBER = 10**9
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_CODE_FORM = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+|[a-z0-9]+(_[a-z0-9]+)+")
_CODE_IN_TEXT = re.compile(
    # From the first of many backslashes only: a match from each would be quadratic.
    r"(?<!\\)\\*[\"'](?:error|error_?code|code)\\*[\"']\s*:"
    r"\s*\\*[\"']([A-Za-z0-9_.\-]{1,64})\\*[\"']",
    re.IGNORECASE,
)
_MAX_DEPTH = 6
_MAX_NODES = 256
_MAX_TEXTS = 16
_LONGEST_TEXT = 2_000

Texts: TypeAlias = dict[str, list[str]]
"""Texts by the plain names of their members."""


def read_list(body: bytes) -> object:
    """Read a JSON list, as Salesforce's errors are. Return None for any other body."""
    try:
        found: object = json.loads(body) if body.lstrip()[:1] == b"[" else None
    except (ValueError, RecursionError):
        return None
    return found


def collect_texts(body: object) -> Texts:
    """Collect the texts of a body by the plain names of their members, outer ones first."""
    found_texts: Texts = {}
    queue = deque([("", body, 0)])
    for _ in range(_MAX_NODES):
        if not queue:
            break
        name, value, depth = queue.popleft()
        match value:
            case str():
                text = _text(value)
                found_texts.setdefault(name, []).extend(text)
                queue.extend((name, inner, depth + 1) for inner in _parse_nested(text, depth))
            case bool():
                continue
            case int() if name == _NUMBERS and 0 <= value < _HIGHEST_NUMBER:
                found_texts.setdefault(name, []).append(f"AADSTS{value}")
            case list() if depth < _MAX_DEPTH:
                queue.extend((name, item, depth + 1) for item in value[:_MAX_NODES])
            case dict() if depth < _MAX_DEPTH:
                queue.extend((_normalize_name(key), item, depth + 1) for key, item in value.items())
                found_texts.setdefault("detail", []).extend(_join_field(value))
    return found_texts


def numbers_in(body: object) -> tuple[str, ...]:
    """Return the numbers that may be codes, of an object and of the objects in it."""
    if not isinstance(body, dict):
        return ()
    objects = [body, *(value for value in body.values() if isinstance(value, dict))]
    return tuple(
        str(value)
        for members in objects
        for name, value in members.items()
        if _normalize_name(name) in _NUMBER_NAMES
        and type(value) is int
        and abs(value) < _HIGHEST_NUMBER
    )[:_MAX_TEXTS]


def _normalize_name(name: object) -> str:
    return str(name)[:64].replace("_", "").replace("-", "").lower()


def _text(value: str) -> list[str]:
    text = value[:_LONGEST_TEXT].strip()
    # JSON can contain a lone surrogate (RFC 8259 §8.2).
    return [text] if text and text == text.encode("utf-8", "replace").decode() else []


def _parse_nested(texts: list[str], depth: int) -> Iterator[object]:
    for text in texts:
        if depth < _MAX_DEPTH and text[0] in "{[":
            with suppress(ValueError, RecursionError):
                yield json.loads(text)


def _join_field(members: Mapping[object, object]) -> list[str]:
    """Read Strava's `{"field": "refresh_token", "code": "invalid"}` as one sentence."""
    field, code = members.get("field"), members.get("code")
    return _text(f"{field} {code}") if isinstance(field, str) and isinstance(code, str) else []


def codes_in(found_texts: Texts) -> tuple[str, ...]:
    """Return the codes, by precedence, those inside texts last."""
    found = [
        text for name in _CODE_NAMES for text in found_texts.get(name, ()) if _is_code(name, text)
    ]
    found += filter(_CODE.fullmatch, found_texts.get(_NUMBERS, ()))
    inside = (
        code
        for name in _TEXT_NAMES
        for text in found_texts.get(name, ())
        for code in _find_codes(text)
    )
    return tuple(dict.fromkeys((*found, *inside)))[:_MAX_TEXTS]


def texts_in(found_texts: Texts) -> tuple[str, ...]:
    """Return the texts that are not codes, by precedence."""
    found = (
        text
        for name in _TEXT_NAMES
        for text in found_texts.get(name, ())
        if name not in _CODE_NAMES or not _is_code(name, text)
    )
    return tuple(dict.fromkeys(found))[:_MAX_TEXTS]


def _is_code(name: str, text: str) -> bool:
    return _CODE.fullmatch(text) is not None and (
        name not in _AMBIGUOUS_NAMES or _CODE_FORM.fullmatch(text) is not None
    )


def _find_codes(text: str) -> list[str]:
    return _CODE_IN_TEXT.findall(text)
