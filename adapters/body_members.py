"""The members of a body, out of the JSON object or the form that it is, whatever it is called."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

# RFC 8259 §6 sets no bound on numbers, and Python one on the digits of those that it reads.
_MOST_DIGITS = 400
# No member of interest stands as deep as this, and Python's reader goes a thousand deep.
_DEPTH = 50
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# What stands before JSON so that no browser runs it as a script, or that it does (QQ's JSONP), and
# what else is no part of it.
_BEFORE = re.compile(
    r"[\ufeff\s\0]*(?:\)\]\}'?,?|while\(1\);|for\(;;\);|[A-Za-z_$][\w$]{0,63}\()?[\ufeff\s\0]*",
    re.ASCII,
)
_FORM = re.compile(rb"[A-Za-z0-9_.-]+=")

_READER = json.JSONDecoder(
    strict=False,
    parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS else float(digits),
)


def read_members(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object, or a form; None for what is neither."""
    members = json_object(body)
    if members is not None or not _FORM.match(body.strip()):
        return members
    # As in `json_object`.
    text = body.strip().decode("utf-8", "surrogateescape")
    return dict(parse_qsl(text, errors="surrogateescape"))


def json_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None where this is none, or not all of it.

    Members that are not as they should be, such as a name in another encoding, a text with a line
    break (RFC 8259 §8.1, §7) or a value a thousand deep, must not cost the others, nor must what
    stands around the object; bytes that are no characters become halves of some, which no token
    has.
    """
    try:
        text = _BEFORE.sub("", body.decode(json.detect_encoding(body), "surrogateescape"), count=1)
        members = _read(text)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _read(text: str) -> object:
    try:
        return _READER.raw_decode(text)[0]
    except RecursionError:
        return _READER.raw_decode(_without_depths(text))[0]


def _without_depths(text: str) -> str:
    """Put null in the place of whatever stands too deep."""
    parts, depth, start = list[str](), 0, 0
    for part in _PARTS.finditer(text):
        if part[0] in {"[", "{"}:
            depth += 1
            if depth == _DEPTH:
                parts.append(text[start : part.start()])
        elif part[0] in {"]", "}"}:
            if depth == _DEPTH:
                parts.append("null")
                start = part.end()
            depth -= 1
    return "".join([*parts, text[start:] if depth < _DEPTH else ""])
