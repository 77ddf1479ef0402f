"""The error codes and texts of a provider's response, at any place in its body.

This module decides nothing. It walks the body breadth first, within limits that no real body
reaches. It also reads JSON inside a text, as gateways pass it on.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from domain.provider import Provider
from domain.token_endpoint import TokenErrorResponse

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
_LONGEST_WAIT = timedelta(days=3650)
_REDIRECTS = range(300, 400)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype html|<html)", re.IGNORECASE)
# RFC 6750 §3: the error in a challenge. Some providers report it there only.
_CHALLENGE = re.compile(r'\b(error|error_description)\s*=\s*"((?:[^"\\]|\\.)*)"')
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_LONGEST_HEADER = 80
_LONGEST_PLACE = 120

_Texts: TypeAlias = dict[str, list[str]]


def read_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    members: dict[str, Any] | None,
    provider: Provider,
    *,
    location: str | None = None,
) -> TokenErrorResponse:
    """Read a response without tokens. `members` are the members of its body.

    `location`: the target of a redirect, as received.
    """
    retry_after = _retry_after(headers)
    if members is None and status in _REDIRECTS:
        return TokenErrorResponse(
            status=status,
            error=None,
            description=_describe_redirect(location),
            retry_after=retry_after,
        )
    if members is None and is_page(headers, body):
        return TokenErrorResponse(
            status=status,
            error=None,
            description=describe_page(status, headers),
            retry_after=retry_after,
            is_page=True,
        )
    found_texts = _collect_texts(
        members if members is not None else _read_list(body)
    ) or _collect_texts(dict(_CHALLENGE.findall(headers.get("www-authenticate", ""))))
    codes, texts = _codes(found_texts), _texts(found_texts)
    own = _find_alias(provider, (*codes, *texts))
    if own is not None:
        # A known word of the provider replaces all other codes.
        words = next(iter((*texts, *codes)))
        return TokenErrorResponse(
            status=status, error=own, description=words, retry_after=retry_after
        )
    return TokenErrorResponse(
        status=status,
        error=next(iter(codes), None),
        description=next(iter(texts), None),
        retry_after=retry_after,
        more_codes=codes[1:],
        more_texts=texts[1:],
    )


def is_refusal(members: Mapping[str, Any]) -> bool:
    """Whether a body is an error despite a success status, as at Slack and GitHub."""
    if members.get("error") or members.get("ok") is False:
        return True
    named = any(members.get(name) for name in ("errors", "error_code", "errorCode", "fault"))
    return named and "access_token" not in members


def is_page(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a response is an HTML page: a firewall's, a captive portal's, a web server's."""
    return "html" in headers.get("content-type", "").lower() or bool(_PAGE.match(body))


def describe_page(status: int, headers: Mapping[str, str]) -> str:
    """Describe a page: its status and its sender, from the headers."""
    senders = ((name, headers.get(name, "")) for name in ("server", "cf-mitigated"))
    sent_by = "".join(
        f", {name}: {_UNPRINTABLE.sub(' ', value)[:_LONGEST_HEADER]}"
        for name, value in senders
        if value
    )
    return f"a page came instead of an answer (status {status}{sent_by})"


def _describe_redirect(location: str | None) -> str:
    """Describe a redirect by host and path. Its query may repeat the request."""
    try:
        parts = urlsplit(_UNPRINTABLE.sub("", location or ""))
        where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        where = ""
    return f"a redirect to {where[:_LONGEST_PLACE]}" if where else "a redirect"


def _read_list(body: bytes) -> object:
    """Read a JSON list, as Salesforce's errors are. Return None for any other body."""
    try:
        found: object = json.loads(body) if body.lstrip()[:1] == b"[" else None
    except (ValueError, RecursionError):
        return None
    return found


def _collect_texts(body: object) -> _Texts:
    """Collect the texts of a body by the plain names of their members, outer ones first."""
    found_texts: _Texts = {}
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


def _codes(found_texts: _Texts) -> tuple[str, ...]:
    found = [
        text for name in _CODE_NAMES for text in found_texts.get(name, ()) if _is_code(name, text)
    ]
    found += found_texts.get(_NUMBERS, ())
    inside = (
        code
        for name in _TEXT_NAMES
        for text in found_texts.get(name, ())
        for code in _find_codes(text)
    )
    return tuple(dict.fromkeys((*found, *inside)))[:_MAX_TEXTS]


def _texts(found_texts: _Texts) -> tuple[str, ...]:
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


def _find_alias(provider: Provider, found_texts: tuple[str, ...]) -> str | None:
    known = (provider.error_aliases.get(words.lower().strip(" .!")) for words in found_texts)
    return next((alias for alias in known if alias), None)


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read Retry-After, in seconds or as a date (RFC 9110 §10.2.3).

    A date is compared with the response's own Date, so this machine's clock does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = min(float(text), _LONGEST_WAIT.total_seconds())
        return timedelta(seconds=seconds) or None
    try:
        until = parsedate_to_datetime(text)
        return max(until - parsedate_to_datetime(headers.get("date", "")), timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return None
