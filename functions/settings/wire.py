"""How a provider's messages differ from RFC 6749, in the environment. Imported where they do."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from domain.provider import Provider
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from functions.settings.environment import EnvReader
from functions.settings.parameters import (
    PARAMETER_NAME,
    Params,
    read_params,
    read_token_params,
)

_AUTHORIZATION_NAMES = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_type",
        "scope",
    }
)
_CLIENT = frozenset({"client_id", "client_secret"})
_CODE_NAMES = frozenset({"code", "code_verifier", "grant_type", "redirect_uri"}) | _CLIENT
_REFRESH_NAMES = frozenset({"grant_type", "refresh_token"}) | _CLIENT
_REVOCATION_NAMES = frozenset({"token", "token_type_hint"}) | _CLIENT
_RESPONSE_NAMES = frozenset(
    {
        "access_token",
        "expires_in",
        "id_token",
        "refresh_token",
        "refresh_token_expires_in",
        "scope",
        "token_type",
    }
)
# An empty name omits these. The others are the purpose of the message, or protect it.
_OPTIONAL = frozenset(
    {"client_id", "grant_type", "redirect_uri", "response_type", "scope", "token_type_hint"}
)
# Parameters of the redirect back that are not the code (RFC 6749 §4.1.2, RFC 9207 §2).
_CALLBACK_NAMES = frozenset({"error", "error_description", "error_uri", "iss", "state"})
_PATH = re.compile(r"[A-Za-z0-9_\-]{1,64}(\.[A-Za-z0-9_\-]{1,64}){0,3}")
# RFC 9110 §5.1.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Headers that belong to the message itself or to the client's authentication.
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def read_wire(env: EnvReader, preset: Provider) -> WireFormat:
    """Apply the variables to the preset's differences."""
    wire = _with_names(env, preset.wire or WireFormat())
    named = replace(preset, wire=wire)
    changes: dict[str, Any] = {
        "callback_code": _callback_code(env),
        "token_request": _choice(env, "TOKEN_REQUEST_FORMAT", BodyFormat),
        "refresh_endpoint": env.url("REFRESH_ENDPOINT"),
        "code_params": read_token_params(env, named, "CODE_PARAMS"),
        "refresh_params": read_token_params(env, named, "REFRESH_PARAMS"),
        "headers": _headers(env),
        "tokens_at": _tokens_at(env),
        "revocation": _choice(env, "REVOCATION_STYLE", RevocationStyle),
    }
    return replace(wire, **{name: value for name, value in changes.items() if value is not None})


def _with_names(env: EnvReader, wire: WireFormat) -> WireFormat:
    changes = {
        "authorization_names": _names(env, "AUTHORIZATION_NAMES", [_AUTHORIZATION_NAMES]),
        "token_request_names": _names(
            env, "TOKEN_REQUEST_NAMES", [_CODE_NAMES, _REFRESH_NAMES, _REVOCATION_NAMES]
        ),
        "response_names": _response_names(env),
    }
    found = {name: names for name, names in changes.items() if names is not None}
    return replace(wire, **found)  # type: ignore[arg-type]


def _names(
    env: EnvReader, variable: str, messages: Collection[frozenset[str]]
) -> Mapping[str, str] | None:
    """Read the names of parameters. `messages` are the parameters of each kind of message."""
    found = read_params(env, variable, "client_id=client_key")
    if found is None:
        return None
    names = dict(found)
    known = frozenset[str]().union(*messages)
    _check_known(env, variable, found, known)
    if omitted := sorted(name for name in known - _OPTIONAL if names.get(name) == ""):
        env.add_fault(f"{variable} must not omit {', '.join(omitted)}")
    for message in messages:
        sent = [name for each in message if (name := names.get(each, each))]
        if len(set(sent)) < len(sent):
            env.add_fault(f"{variable} gives two parameters the same name")
    return names


def _response_names(env: EnvReader) -> Mapping[str, str] | None:
    found = read_params(env, "RESPONSE_NAMES", "access_token=token&expires_in=valid_for")
    if found is None:
        return None
    _check_known(env, "RESPONSE_NAMES", found, _RESPONSE_NAMES)
    names = dict(found)
    if names.get("access_token") == "":
        env.add_fault("RESPONSE_NAMES must not omit access_token")
    return names


def _check_known(env: EnvReader, variable: str, found: Params, known: frozenset[str]) -> None:
    names = [name for name, _ in found]
    if not known.issuperset(names):
        env.add_fault(f"{variable} has an unknown name; allowed: {', '.join(sorted(known))}")
    if len(set(names)) < len(names):
        env.add_fault(f"{variable} repeats a name")
    if not all(PARAMETER_NAME.fullmatch(name) for _, name in found if name):
        env.add_fault(f"{variable} has an invalid name: use letters, digits and . _ - : [ ]")


def _callback_code(env: EnvReader) -> str | None:
    name = env.optional("CALLBACK_CODE")
    if name is None:
        return None
    if not PARAMETER_NAME.fullmatch(name) or name in _CALLBACK_NAMES:
        env.add_fault(
            "CALLBACK_CODE must be the name of the parameter that has the code, such as auth_code"
        )
    return name


def _tokens_at(env: EnvReader) -> str | None:
    path = env.optional("TOKENS_AT")
    if path is not None and not _PATH.fullmatch(path):
        env.add_fault("TOKENS_AT must be the name of a member, or several with dots between them")
    return path


def _headers(env: EnvReader) -> Params | None:
    found = read_params(env, "TOKEN_HEADERS", "Notion-Version=2022-06-28")
    if found is None:
        return None
    names = [name.lower() for name, _ in found]
    if not all(map(_HEADER_NAME.fullmatch, names)):
        env.add_fault("TOKEN_HEADERS has an invalid header name")
    if len(set(names)) < len(names):
        env.add_fault("TOKEN_HEADERS repeats a header")
    if own := sorted(_OWN_HEADERS.intersection(names)):
        env.add_fault(f"TOKEN_HEADERS must not set {', '.join(own)}: each request sets its own")
    if not all(_is_header_value(value) for _, value in found):
        env.add_fault("TOKEN_HEADERS has a value that is not printable ASCII")
    return found


def _is_header_value(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


def _choice(
    env: EnvReader, variable: str, kind: type[BodyFormat] | type[RevocationStyle]
) -> BodyFormat | RevocationStyle | None:
    value = env.choice(variable, [each.value for each in kind])
    return None if value is None else kind(value)
