"""Faults of pasted values: quotes and invisible characters.

Client credentials and scopes contain neither (RFC 6749 §3.3, appendix A).
"""

_QUOTES = ('""', "''", "``", "“”", "„“", "‘’", "«»")  # noqa: RUF001 - these are meant
# Controls and line ends, formats such as a byte order mark, and separators but for the space.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def paste_fault(text: str, *, allowed: str = "") -> str | None:
    """Return what a paste left in a value; None for a clean one.

    `allowed` are the invisible characters that it may contain.
    """
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        return "is in quotes: remove them (docker --env-file keeps them)"
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        if character != " " and character not in allowed and _is_invisible(character):
            return f"has the invisible character U+{ord(character):04X}: type the value again"
    return None


def _is_invisible(character: str) -> bool:
    import unicodedata  # noqa: PLC0415 - most values are printable ASCII

    return unicodedata.category(character) in _INVISIBLE
