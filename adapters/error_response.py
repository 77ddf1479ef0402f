"""The error in a provider's response without tokens. This module decides nothing."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from adapters.error_texts import codes_in, collect_texts, numbers_in, read_list, texts_in
from adapters.retry_after import read_retry_after
from domain.provider import Provider
from domain.token_endpoint import TokenErrorResponse

# The members of a success that is an error.
REFUSAL_NAMES = ("error", "ok", "errors", "error_code", "errorCode", "fault")
_REDIRECTS = range(300, 400)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype html|<html)", re.IGNORECASE)
# RFC 6750 §3: the error in a challenge. Some providers report it there only.
_CHALLENGE = re.compile(r'\b(error|error_description)\s*=\s*"((?:[^"\\]|\\.)*)"')
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_LONGEST_HEADER = 80
_LONGEST_PLACE = 120


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
    retry_after = read_retry_after(headers)
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
    content = members if members is not None else read_list(body)
    found_texts = collect_texts(content) or collect_texts(
        dict(_CHALLENGE.findall(headers.get("www-authenticate", "")))
    )
    codes, texts = codes_in(found_texts), texts_in(found_texts)
    numbers = numbers_in(content) if provider.error_aliases else ()
    own = _find_alias(provider, (*codes, *texts, *numbers))
    if own is not None:
        # A known word of the provider replaces all other codes.
        words = next(iter((*texts, *codes, *numbers)))
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
    error, ok, *others = REFUSAL_NAMES
    if members.get(error) or members.get(ok) is False:
        return True
    named = any(members.get(name) for name in others)
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


def _find_alias(provider: Provider, found_texts: tuple[str, ...]) -> str | None:
    known = (provider.error_aliases.get(words.lower().strip(" .!")) for words in found_texts)
    return next((alias for alias in known if alias), None)
