"""Text for shells: one line instead of JSON, if the client prefers it (RFC 9110 §12.5.1)."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from functions.http.messages import Response

if TYPE_CHECKING:
    from functions.http.problems import Problem

_QUALITY = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
# The ranges that include a media type, the most specific first.
_TEXT = (b"text/plain", b"text/*", b"*/*")
_JSON = (b"application/json", b"application/*", b"*/*")


def prefers_text(accept: bytes) -> bool:
    """Whether text/plain has a higher quality than JSON in an `Accept`, in lower case."""
    qualities = dict(_qualities(accept.split(b",")))
    return _quality_of(_TEXT, qualities) > _quality_of(_JSON, qualities)


def text_response(status: int, line: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Make a response of one line; line breaks within it become spaces."""
    text = " ".join(line.split()) + "\n"
    content_type = "text/plain; charset=utf-8"
    return Response(status=status, content_type=content_type, body=text.encode(), headers=headers)


def problem_as_text(problem: "Problem") -> Response:
    """Write a problem as `DETAIL (TYPE)`, the type without its prefix."""
    line = f"{problem.detail} ({problem.name})"
    return text_response(problem.status, line, headers=problem.headers)


def _qualities(ranges: Iterable[bytes]) -> Iterable[tuple[bytes, float]]:
    """Yield each media range with its quality; a range with a malformed one is ignored."""
    for part in ranges:
        name, *parameters = (each.strip() for each in part.split(b";"))
        found = [each[2:] for each in parameters if each.startswith(b"q=")]
        if all(map(_QUALITY.fullmatch, found)):
            yield name, float(found[0]) if found else 1.0


def _quality_of(ranges: Iterable[bytes], qualities: Mapping[bytes, float]) -> float:
    """Return the quality by the most specific range; 0 if none is accepted."""
    return next((qualities[name] for name in ranges if name in qualities), 0.0)
