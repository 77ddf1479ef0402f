"""Endpoints with placeholders, such as `https://{tenant}.example/token`.

A value must not lead a request, which has secrets, to the host of another owner:

A. In a host a value has letters, digits and hyphens, and a literal end follows it: `.example`. So
   the host stays below that end.
B. Values that the provider's data list may have dots, and need no literal end: `com.au`.
C. A placeholder that is the whole host stands for any host name, with a port if needed. IP
   addresses are refused: they have forms that few people recognise.
D. After the host a value has unreserved characters (RFC 3986 §2.3), and makes no dot segment.
"""

import re
from collections.abc import Callable, Iterable, Mapping

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_URL = re.compile(r"(https?://)([^/?#]*)(.*)")
# RFC 1123 §2.1.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_FIXED_END = re.compile(r"\.[^.]*[A-Za-z][^.]*\Z")
_PART_OF_LABEL = re.compile(r"[A-Za-z0-9-]+")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HIGHEST_PORT = 65535
_LONGEST_HOST = 253
# The last label of an IPv4 address, also in hexadecimal (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_DOT_SEGMENTS = frozenset({".", ".."})


class TemplateError(Exception):
    """An endpoint cannot be made. The message names the placeholder, and no value."""

    def __init__(self, reason: str, *, is_missing: bool = False) -> None:
        """`is_missing`: whether a value is missing, not invalid."""
        super().__init__(reason)
        self.is_missing = is_missing


def placeholders_in(text: str) -> tuple[str, ...]:
    """Return the names of the placeholders, in their order."""
    return tuple(_PLACEHOLDER.findall(text))


def fill_endpoint(
    template: str, values: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]]
) -> str:
    """Return the endpoint with these values. `allowed` has the lists of rule B.

    Raises TemplateError.
    """
    names = placeholders_in(template)
    for name in names:
        if name not in values:
            raise TemplateError(f"{{{name}}}", is_missing=True)
        if (known := allowed.get(name)) and values[name] not in known:
            raise TemplateError(f"{{{name}}} must be one of: {', '.join(known)}")
    parts = _URL.fullmatch(template)
    if parts is None:
        raise TemplateError(f"{{{names[0]}}} must be in the host or after it")
    scheme, authority, rest = parts.groups()
    return f"{scheme}{_fill_authority(authority, values, allowed)}{_fill_rest(rest, values)}"


def fill_text(text: str, values: Mapping[str, str], names: Iterable[str]) -> str:
    """Return a parameter's value with these placeholders filled; others stay as they are."""
    return _filled(text, lambda name: values[name] if name in names else f"{{{name}}}")


def _filled(text: str, value_of: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda found: value_of(found[1]), text)


def _fill_authority(
    authority: str, values: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]]
) -> str:
    names = placeholders_in(authority)
    if not names:
        return authority
    if authority == f"{{{names[0]}}}":
        # Rule C.
        return _require_host(names[0], values[names[0]])
    host, colon, port = authority.partition(":")
    if "{" in port:
        raise TemplateError(f"{{{names[-1]}}} must be in the host or after it")
    listed = [name for name in names if allowed.get(name)]
    _require_labels(fill_text(host, values, listed), values)
    host = _filled(host, values.__getitem__)
    if not _is_host(host):
        raise TemplateError(f"{{{names[0]}}} makes no valid host name")
    return f"{host}{colon}{port}"


def _require_labels(host: str, values: Mapping[str, str]) -> None:
    """Check rule A for the placeholders that are left in a host."""
    names = placeholders_in(host)
    if names and not _FIXED_END.search(host.rpartition("}")[2]):
        raise TemplateError(f"{{{names[-1]}}} must have a fixed domain after it in the host")
    for name in names:
        if not _PART_OF_LABEL.fullmatch(values[name]):
            raise TemplateError(
                f"{{{name}}} must be one part of a host name: letters, digits and hyphens"
            )


def _require_host(name: str, value: str) -> str:
    host, colon, port = value.partition(":")
    is_port = not colon or (_PORT.fullmatch(port) and int(port) <= _HIGHEST_PORT)
    if not (is_port and _is_host(host)):
        raise TemplateError(
            f"{{{name}}} must be a host name such as login.example, not an address or a URL"
        )
    return value


def _is_host(host: str) -> bool:
    labels = host.split(".")
    return (
        all(map(_LABEL.fullmatch, labels))
        and not _NUMBER.fullmatch(labels[-1])
        and len(host) <= _LONGEST_HOST
    )


def _fill_rest(rest: str, values: Mapping[str, str]) -> str:
    # Rule D.
    for name in placeholders_in(rest):
        if not _UNRESERVED.fullmatch(values[name]):
            raise TemplateError(
                f"{{{name}}} must have only letters, digits and . _ ~ - after the host"
            )
    filled = _filled(rest, values.__getitem__)
    if filled != rest and not _DOT_SEGMENTS.isdisjoint(filled.partition("?")[0].split("/")):
        name = placeholders_in(rest)[0]
        raise TemplateError(f"{{{name}}} must not make a path of dots")
    return filled
