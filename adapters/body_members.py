"""The members of a response body: a JSON object or a form, with any content type."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

# RFC 8259 §6 sets no limit for numbers. Python limits the digits of an integer.
_MAX_DIGITS = 400
# All members of interest are less deep. Python's reader stops at a thousand levels.
_MAX_DEPTH = 50
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# Prefixes of JSON: guards against script inclusion, QQ's JSONP call, byte order marks.
_JSON_PREFIX = re.compile(
    r"[\ufeff\s\0]*(?:\)\]\}'?,?|while\(1\);|for\(;;\);|[A-Za-z_$][\w$]{0,63}\()?[\ufeff\s\0]*",
    re.ASCII,
)
_FORM = re.compile(rb"[A-Za-z0-9_.-]+=")

_READER = json.JSONDecoder(
    strict=False,
    parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else float(digits),
)


def read_members(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object or a form. Return None for any other body."""
    members = json_object(body)
    if members is not None or not _FORM.match(body.strip()):
        return members
    # As in `json_object`.
    text = body.strip().decode("utf-8", "surrogateescape")
    return dict(parse_qsl(text, errors="surrogateescape"))


def json_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object. Return None for any other body, or an incomplete object.

    Invalid members must not cost the valid ones. Such are: another encoding (RFC 8259 §8.1), a line
    break in a text (§7), a value a thousand levels deep. Text around the object is ignored.
    Invalid bytes become surrogates, which no token contains.
    """
    try:
        text = _JSON_PREFIX.sub(
            "", body.decode(json.detect_encoding(body), "surrogateescape"), count=1
        )
        members = _read(text)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _read(text: str) -> object:
    try:
        return _READER.raw_decode(text)[0]
    except RecursionError:
        return _READER.raw_decode(_cut_depths(text))[0]


def _cut_depths(text: str) -> str:
    """Replace values that are too deep by null."""
    parts, depth, start = list[str](), 0, 0
    for part in _PARTS.finditer(text):
        if part[0] in {"[", "{"}:
            depth += 1
            if depth == _MAX_DEPTH:
                parts.append(text[start : part.start()])
        elif part[0] in {"]", "}"}:
            if depth == _MAX_DEPTH:
                parts.append("null")
                start = part.end()
            depth -= 1
    return "".join([*parts, text[start:] if depth < _MAX_DEPTH else ""])
