"""Parameters: decodes a query or a form, and refuses what could be read in two ways."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote_plus, unquote_to_bytes

# The significant parameters of a callback (RFC 6749 §4.1.2, RFC 9207 §2).
_SIGNIFICANT = frozenset({"code", "error", "iss", "state"})
# Only shown to a person.
_SHOWN = "error_description"


class MalformedRequestError(Exception):
    """The request is malformed; `status` is the response's, the text its detail."""

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


def parse_parameters(encoded: bytes) -> dict[str, str]:
    """Decode a query or form, without repeated parameters (RFC 6749 §3.1).

    Raises MalformedRequestError.
    """
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise MalformedRequestError(
            "The parameters cannot be decoded. Percent-encode them as UTF-8."
        ) from error
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise MalformedRequestError("A parameter appears more than once. Send it once.")
    return parameters


def parse_authorization_response(encoded: bytes) -> dict[str, str]:
    """Decode a callback's query, and ignore other parameters (RFC 6749 §4.1.2).

    Raises MalformedRequestError for a malformed or repeated significant parameter.
    """
    parameters: dict[str, str] = {}
    for part in encoded.split(b"&"):
        name, value = _name_of(part), part.partition(b"=")[2]
        if name in _SIGNIFICANT and name in parameters:
            raise MalformedRequestError(
                f"The parameter {name} appears more than once. Send it once."
            )
        if name in _SIGNIFICANT:
            parameters |= parse_parameters(b"=".join((name.encode(), value)))
        elif name == _SHOWN:
            parameters.setdefault(name, _decode_any(value))
    return parameters


def parse_members(encoded: bytes, names: Sequence[str]) -> dict[str, str]:
    """Decode only these parameters of a query or form. A missing one is left out.

    Raises MalformedRequestError for a malformed or repeated one.
    """
    named = [part for part in encoded.split(b"&") if _name_of(part) in names]
    for name, times in Counter(map(_name_of, named)).items():
        if times > 1:
            raise MalformedRequestError(
                f"The parameter {name} appears more than once. Send it once."
            )
    return parse_parameters(b"&".join(named)) if named else {}


def _name_of(part: bytes) -> str:
    return unquote_plus(part.partition(b"=")[0].decode("latin-1"), errors="replace")


def _decode_any(encoded: bytes) -> str:
    text = unquote_to_bytes(encoded.replace(b"+", b" "))
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
