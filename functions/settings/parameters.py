"""Parameters of requests to the provider in the environment. Imported where there are any."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

from domain.provider import Provider
from functions.settings.environment import EnvReader

# RFC 6749 §8.2, and names that some providers use.
PARAMETER_NAME = re.compile(r"[A-Za-z0-9._\-:\[\]]+")
# Parameters that `domain.authorization` sets.
_LOGIN_PARAMS = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_type",
        "state",
    }
)
# Parameters of each token request (RFC 6749 §4.1.3, §6; RFC 7521 §4.2).
_TOKEN_REQUEST_PARAMS = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
    }
)

Params: TypeAlias = tuple[tuple[str, str], ...]
"""Parameters in their order; some may repeat."""


def read_params(env: EnvReader, variable: str, example: str) -> Params | None:
    """Read `name=value&…`; None if the variable is unset."""
    text = env.optional(variable)
    if text is None:
        return None
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        env.add_fault(f"{variable} must look like {example}")
        return ()


def read_authorization_params(env: EnvReader, preset: Provider) -> Params:
    """Read `AUTHORIZATION_PARAMS`. `preset` has the parameters' names."""
    found = read_params(env, "AUTHORIZATION_PARAMS", "prompt=consent&access_type=offline")
    if found is None:
        return preset.authorization_params
    names = [name for name, _ in found]
    if not all(map(PARAMETER_NAME.fullmatch, names)):
        env.faults.append(
            "AUTHORIZATION_PARAMS has an invalid parameter name: use letters, digits and . _ -, "
            "and no ? at the beginning"
        )
    if _repeats(found):
        # RFC 6749 §3.1.
        env.faults.append("AUTHORIZATION_PARAMS repeats a parameter other than resource")
    wire = preset.wire
    login_params = _LOGIN_PARAMS if wire is None else _sent(_LOGIN_PARAMS, wire.authorization_names)
    if own := sorted(login_params.intersection(names)):
        env.faults.append(
            f"AUTHORIZATION_PARAMS must not set {', '.join(own)}: each login sets its own"
        )
    if "scope" in names and env.optional("SCOPE") is not None:
        env.faults.append("AUTHORIZATION_PARAMS must not set scope if SCOPE is set")
    return found


def read_token_params(
    env: EnvReader, preset: Provider, variable: str = "TOKEN_PARAMS"
) -> Params | None:
    """Read the parameters of token requests; None if the variable is unset.

    `preset` has the parameters' names.
    """
    found = read_params(env, variable, "resource=https://api.example")
    if found is None:
        return None
    wire = preset.wire
    sent = (
        _TOKEN_REQUEST_PARAMS
        if wire is None
        else _sent(_TOKEN_REQUEST_PARAMS, wire.token_request_names)
    )
    if variable == "REFRESH_PARAMS":
        # Yahoo's and GitLab's documentation repeat it there.
        sent -= {"redirect_uri"}
    if own := sorted(sent.intersection(name for name, _ in found)):
        env.faults.append(
            f"{variable} must not set {', '.join(own)}: each token request sets its own"
        )
    if _repeats(found):
        env.faults.append(f"{variable} repeats a parameter other than resource")
    return found


def check_repeats(env: EnvReader, provider: Provider) -> None:
    """Report parameters that one request would repeat."""
    wire = provider.wire
    for variable, params in (
        ("CODE_PARAMS", () if wire is None else wire.code_params),
        ("REFRESH_PARAMS", () if wire is None else wire.refresh_params),
    ):
        if any(map(_repeats, (params, provider.token_params))):
            # Reported by its own variable.
            continue
        if _repeats((*provider.token_params, *params)):
            env.add_fault(f"{variable} repeats a parameter of all token requests")


def _repeats(params: Params) -> bool:
    """Whether a parameter is there twice, other than `resource` (RFC 8707 §2)."""
    names = [name for name, _ in params if name != "resource"]
    return len(set(names)) < len(names)


def _sent(params: Iterable[str], names: Mapping[str, str]) -> frozenset[str]:
    """Return the names that a request has, by the provider's names."""
    return frozenset(names.get(name, name) for name in params) - {""}
