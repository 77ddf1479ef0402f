"""Redaction of a provider's texts: removes each secret that was sent or received.

Providers repeat a request in many forms: encoded, escaped, cut, in another case. So a text is
decoded repeatedly by each decoder. A word is removed if a reading of it shows eight consecutive
characters of a secret. If the rest still shows them, the whole text is removed.
"""

import re
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from itertools import islice
from urllib.parse import quote, quote_plus, unquote

LONGEST_QUOTE = 300
REMOVED = "…"
# Consecutive characters that count as part of a secret. Fewer may be a common word.
WINDOW = 8
# A shorter secret would match most texts.
_SHORTEST = 3
_LONGEST_TEXT = 2_000
# The test corpus of refusals needs 23 and 15,000.
_MAX_READINGS = 96
_MAX_CHARACTERS = 200_000
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{10,}")
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
# A token in a body of any type: `"access_token": "…"`, `refresh_token=…`.
_TOKEN = re.compile(
    r"token\w{0,16}\\{0,4}[\"']?\s{0,4}[:=]\s{0,4}\\{0,4}[\"']?"
    r"([^\s\"'&,;<>{}()\[\]\\]{16,4096})",
    re.IGNORECASE,
)
_MAX_TOKENS = 8


class Redaction:
    """Removes these secrets from texts. Empty secrets are ignored."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        bare = {_normalize(form) for form in forms} | {_normalize(form)[::-1] for form in forms}
        self._short = {text for text in bare if _SHORTEST <= len(text) < WINDOW}
        self._windows = {window for text in bare for window in _windows(text)}

    def reveals(self, text: str) -> bool:
        """Whether a reading of a text shows a secret, or the text has too many readings."""
        readings = _readings(text)
        return readings is None or any(
            self._contains_secret(_normalize(reading)) for reading in readings
        )

    def quote(self, text: str) -> str:
        """Return a text on one line, cut to the limit, without secrets."""
        plain = " ".join("".join(map(_to_printable, text[:_LONGEST_TEXT])).split())
        if self.reveals(plain):
            words = (REMOVED if self.reveals(word) else word for word in plain.split())
            plain = " ".join(words)
            if self.reveals(plain):
                return REMOVED
        return plain[:LONGEST_QUOTE]

    def _contains_secret(self, bare: str) -> bool:
        return any(window in self._windows for window in _windows(bare)) or any(
            short in bare for short in self._short
        )


def tokens_in(body: bytes) -> list[str]:
    """Return the tokens in a body: a refusal may contain some."""
    found = _TOKEN.finditer(body.decode("utf-8", "replace"))
    return [token[1] for token in islice(found, _MAX_TOKENS)]


def _normalize(text: str) -> str:
    """Normalize a text: no difference by case or spaces."""
    return "".join(text.casefold().split())


def _windows(text: str) -> Iterator[str]:
    return (text[begin : begin + WINDOW] for begin in range(len(text) - WINDOW + 1))


def _forms(secret: str) -> Iterator[str]:
    """Return the decoded and encoded forms of a secret, and base64 at each alignment."""
    for form in {secret, unquote(secret), unescape(secret), quote(secret), quote_plus(secret)}:
        yield form
        for shift in range(3):
            encoded = b64encode(b"\0" * shift + form.encode("utf-8", "replace")).decode()
            # The characters at both ends also depend on the neighbours.
            inner = encoded[4 if shift else 0 :].rstrip("=")[:-1]
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def _to_printable(character: str) -> str:
    return " " if unicodedata.category(character)[0] in "CZ" else character


def _readings(text: str) -> set[str] | None:
    """Return all readings of a text, decoded repeatedly. Return None beyond the limits."""
    known = {text}
    fresh = known
    while fresh:
        fresh = {decode(each) for each in fresh for decode in _DECODERS} - known
        known = known | fresh
        if len(known) > _MAX_READINGS or sum(map(len, known)) > _MAX_CHARACTERS:
            return None
    return known


def _unescape_json(text: str) -> str:
    return _JSON_ESCAPE.sub(_unescape_match, text)


def _unescape_match(escape: re.Match[str]) -> str:
    kind, rest = escape[0][1], escape[0][2:]
    if rest:
        return chr(int(rest, 16))
    return {"b": "", "f": "", "n": "", "r": "", "t": ""}.get(kind, kind)


def _decode_base64(text: str) -> str:
    return "\n".join(read for run in _BASE64.findall(text) for read in _decode_run(run))


def _decode_run(run: str) -> Iterator[str]:
    standard = run.replace("-", "+").replace("_", "/")
    for begin in range(4):
        part = standard[begin:]
        whole = part[: len(part) // 4 * 4]
        # The rest of a cut run still encodes one or two characters.
        rest = part[len(whole) :]
        padded = whole + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")
        try:
            data = b64decode(padded)
        except NoBase64:
            continue
        yield data.decode("utf-8", "ignore")
        yield data.decode("latin-1")


def _remove_spaces(text: str) -> str:
    return "".join(text.split())


_DECODERS: tuple[Callable[[str], str], ...] = (
    unquote,
    unescape,
    _unescape_json,
    _remove_spaces,
    lambda text: text.replace("+", " "),
    _decode_base64,
)
