"""Write `docs/providers.md`, from the docstrings and the data of the presets.

python -m tests.docs.providers > docs/providers.md
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from domain import providers
from domain.provider import (
    AssumedLifetime,
    ClientAuthentication,
    LifetimeStart,
    Pkce,
    Provider,
    RotationKind,
)
from tests.docs.pages import ROOT
from tests.presets import NAMES, preset_named

PAGE = ROOT / "docs/providers.md"

LABELS = ("Register", "Refresh token", "Lifetimes", "Ends", "Source", "Unverified")
"""The labelled lines of a preset's docstring, in order. The last one is optional."""

_INTRODUCTION = """\
# Providers

`PROVIDER` chooses a preset: the endpoints, lifetimes and special rules of one provider. Each
section below has the name of one. A preset saves variables, and any of these that you set
[replaces its part of the preset](configuration.md#provider).

1. Register an application at the provider, with the redirect URI: `PUBLIC_URL` + `/api/callback`.
2. Set `PROVIDER`, `CLIENT_ID`, `CLIENT_SECRET`, and the variables that the section names.
3. Request a refresh token as the section describes. Without one, a person has to log in again when
   the access token expires.

If your provider is missing, `PROVIDER=custom` describes it [by variables](custom-provider.md). A
preset is [one module of data](../CONTRIBUTING.md#how-to-add-a-provider).

Each section names the sources of its facts. A fact without one is *not verified*: there the preset
has the [safe default](../CONTRIBUTING.md#how-to-add-a-provider). A lifetime in a response wins over
the lifetimes below.

"""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The docstring of a preset: its first line, and its labelled lines."""

    title: str
    lines: dict[str, str]


def module_of(name: str) -> Path:
    """Return the file of a preset."""
    return Path(providers.__path__[0]) / f"{name.replace('-', '_')}.py"


def description(name: str) -> Description:
    """Read the docstring of a preset. Raises ValueError if a line has another label."""
    text = ast.get_docstring(ast.parse(module_of(name).read_text())) or ""
    title, _, rest = text.partition("\n\n")
    return Description(title=title, lines=dict(map(_labelled, _lines(rest))))


def _lines(text: str) -> list[str]:
    """Join each labelled line with its continuations, which are indented."""
    return [" ".join(line.split()) for line in re.split(r"\n(?! )", text)]


def _labelled(line: str) -> tuple[str, str]:
    label, found, text = line.partition(": ")
    if not found or label not in LABELS:
        raise ValueError(f"a line without a label: {line}")
    return label, text


def page() -> str:
    """Return the page."""
    names = [name for name in NAMES if name != "custom"]
    initials = groupby(names, key=lambda name: name[0])
    index = [", ".join(f"[{name}](#{name})" for name in some) for _, some in initials]
    shown = "".join(f"- {line}\n" for line in index)
    return f"{_INTRODUCTION}{len(names)} presets:\n\n{shown}" + "".join(map(_section, names))


def _section(name: str) -> str:
    described, provider = description(name), preset_named(name)
    lines = [
        ("Register", described.lines["Register"]),
        ("For a refresh token", described.lines["Refresh token"]),
        *_required(provider),
        ("Lifetimes", described.lines["Lifetimes"]),
        ("Rotation", _rotation(provider)),
        ("The login ends with", _lower(described.lines["Ends"])),
        ("Sent", _sent(provider)),
        *_members(provider),
        ("Sources", _linked(described.lines["Source"])),
    ]
    if unverified := described.lines.get("Unverified"):
        lines.append(("Not verified", _lower(unverified)))
    shown = "".join(f"- {label}: {text}\n" for label, text in lines)
    return f"\n## {name}\n\n{described.title}\n\n{shown}"


def _required(provider: Provider) -> Iterator[tuple[str, str]]:
    needed = [f"`{variable}`" for variable in provider.required_settings]
    for placeholder, values in provider.placeholders.items():
        allowed = f" ({', '.join(f'`{value}`' for value in values)})" if values else ""
        needed.append(f"`ENDPOINT_VALUES` with `{placeholder}`{allowed}")
    if needed:
        yield "Required", f"{' and '.join(needed)}."


def _members(provider: Provider) -> Iterator[tuple[str, str]]:
    for where, members in (
        ("the response", provider.response_members),
        ("the redirect back", provider.callback_members),
    ):
        if members:
            yield f"Kept from {where}", f"{', '.join(f'`{member}`' for member in members)}."


def _rotation(provider: Provider) -> str:
    kind, grace = provider.rotation.kind, provider.rotation.grace
    text = {
        RotationKind.NONE: "a refresh keeps the refresh token",
        RotationKind.OPTIONAL: "a refresh may replace the refresh token",
        RotationKind.ALWAYS: "a refresh replaces the refresh token",
    }[kind]
    if grace:
        until = " until a new one is used, for at most" if provider.rotation.until_used else " for"
        text += f", and the old one works{until} {_duration(grace)}"
    if provider.refresh_ends_access_token:
        text += ". It also ends the old access token"
    if provider.refresh_only_within is not None:
        text += f". It is refused until {_duration(provider.refresh_only_within)} before the end"
    return f"{text}."


def _sent(provider: Provider) -> str:
    method = {
        ClientAuthentication.POST: "the secret in the body",
        ClientAuthentication.BASIC: "the secret as HTTP Basic",
        ClientAuthentication.SECRET_AS_USER: "the secret as the user of HTTP Basic",
        ClientAuthentication.NONE: "no secret",
    }[provider.client_authentication]
    pkce = "PKCE" if provider.pkce is Pkce.S256 else "no PKCE"
    params = [f"`{name}={value}`" for name, value in _params(provider)]
    return f"{', '.join([method, pkce, *params])}. {_declared(provider)}"


def _params(provider: Provider) -> tuple[tuple[str, str], ...]:
    code = () if provider.wire is None else provider.wire.code_params
    return (*provider.authorization_params, *provider.token_params, *code)


def _declared(provider: Provider) -> str:
    """Return the lifetimes for responses without one."""
    access = provider.access_token_lifetime
    if isinstance(access, AssumedLifetime):
        shown = f"{_duration(access.lifetime)}, and unlimited without a refresh token"
    else:
        shown = "unlimited" if access is None else _duration(access)
    text = f"Without a lifetime in the response, an access token counts as valid for {shown}."
    if provider.login_lifetime is not None:
        text += f" A login: {_duration(provider.login_lifetime)}."
    if provider.refresh_token_lifetime is None:
        return text
    start = {
        LifetimeStart.ISSUE: "its issue",
        LifetimeStart.USE: "its last use",
        LifetimeStart.LOGIN: "the login",
    }[provider.refresh_token_counted]
    return f"{text} A refresh token: {_duration(provider.refresh_token_lifetime)} from {start}."


def _duration(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in _UNITS:
        if seconds % size == 0:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    raise ValueError(span)


def _lower(text: str) -> str:
    """Start with a small letter, as the rest of a sentence does, but for names and codes."""
    first = text.split(maxsplit=1)[0]
    return text[0].lower() + text[1:] if first.istitle() or first == "A" else text


def _linked(text: str) -> str:
    return re.sub(r"https://[^\s;,]+[^\s;,.]", r"<\g<0>>", text)


if __name__ == "__main__":
    sys.stdout.write(page())
