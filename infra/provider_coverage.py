"""Count the providers of a list of facts that this product serves, and print the others.

`python -m infra.provider_coverage providers.json`. A provider has a preset, or variables alone
describe it (`PROVIDER=custom`), or something that it demands is missing here. The file is

    {"providers": {"NAME": {"FACT": [{"value": "…"}]}}}
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from functions.settings.presets import names

Facts: TypeAlias = Mapping[str, str]
"""The facts of one provider, by their names; several values are joined."""


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """A pattern in a fact, and the reason why no variable helps."""

    fact: str
    pattern: str
    reason: str


# The first that applies is printed.
_OBSTACLES = (
    _Obstacle("name", r"closed to new", "it accepts no new clients"),
    _Obstacle("name", r"turned down", "it has been shut down"),
    _Obstacle("refresh_endpoint", r"^GET ", "it refreshes by GET, with the token in the URL"),
    _Obstacle(
        "scopes_for_refresh",
        r"exchange grant_type=",
        "it has no refresh tokens, and exchanges access tokens",
    ),
    _Obstacle("redirect_uri", r"^http://localhost\S* only", "its redirect URI is another client's"),
)
_ENDPOINT = re.compile(r"https://\S+")
# Endpoints that `ISSUER` finds.
_PUBLISHED = re.compile(r"\bmetadata\b")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint")


class FactsError(Exception):
    """The file cannot be read, or has another form. The message says which part."""


def read_facts(path: Path) -> dict[str, Facts]:
    """Read the facts of each provider. Raises FactsError."""
    try:
        found = json.loads(path.read_text())["providers"]
        return {str(name): _facts(entry) for name, entry in found.items()}
    except OSError as error:
        raise FactsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = f"{path} is not a list of facts: {type(error).__name__} {error}"
        raise FactsError(text) from error


def _facts(entry: Mapping[str, object]) -> Facts:
    facts: dict[str, str] = {}
    for name, values in entry.items():
        if isinstance(values, str):
            facts[name] = values
        elif isinstance(values, list):
            known = [str(each["value"]) for each in values if isinstance(each, dict)]
            facts[name] = "; ".join(known)
        else:
            raise TypeError(f"in {name}")
    return facts


def obstacle(facts: Facts) -> str | None:
    """Return why variables cannot describe a provider; None if they can."""
    for each in _OBSTACLES:
        if re.search(each.pattern, facts.get(each.fact, "")):
            return each.reason
    for name in _ENDPOINTS:
        value = facts.get(name, "")
        if not (_ENDPOINT.match(value) or _PUBLISHED.search(value)):
            return f"its {name} is not known"
    return None


def report(providers: Mapping[str, Facts]) -> str:
    """Return the counts, and a line for each provider without a preset."""
    presets = set(names())
    rest = {name: obstacle(facts) for name, facts in providers.items() if name not in presets}
    described = [name for name, reason in rest.items() if reason is None]
    missing = {name: reason for name, reason in rest.items() if reason is not None}
    lines = [
        f"{len(providers)} providers",
        f"  with a preset: {len(providers) - len(rest)}",
        f"  described by variables alone: {len(described)}",
        *(f"    {name}" for name in described),
        f"  not served: {len(missing)}",
        *(f"    {name}: {reason}" for name, reason in missing.items()),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Print the report. Return the error, if any."""
    parser = argparse.ArgumentParser(prog="python -m infra.provider_coverage", description=__doc__)
    parser.add_argument("file", type=Path, help="the list of facts, as JSON")
    try:
        sys.stdout.write(report(read_facts(parser.parse_args(arguments).file)))
    except FactsError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
