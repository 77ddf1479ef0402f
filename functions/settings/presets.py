"""Finds the preset of a name, and imports its module alone."""

import re

from domain.provider import Provider

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""The pattern of a preset's name. The name of its module has `_` instead of `-`."""

_PACKAGE = "domain.providers"
# Enough for a typing error, and for a family such as a production host and its sandbox.
_MOST_SUGGESTIONS = 3
# The first line of a preset is its title, and a remark after one of these.
_TITLE_END = r"[:.](?:\s|$)|, (?=wh|production|OAuth)"


def load(name: str) -> Provider | None:
    """Return the preset of a name; None if there is none."""
    if not NAME.fullmatch(name):
        return None
    module = _module_of(name)
    try:
        # Unlike `importlib`, this is in the report of `-X importtime`, which a test reads.
        found = __import__(module, fromlist=("PROVIDER",))
    except ModuleNotFoundError as error:
        if error.name == module:
            return None
        raise
    provider: Provider = found.PROVIDER
    return provider


def exists(name: str) -> bool:
    """Whether there is a preset of this name. It is not imported."""
    from importlib.util import find_spec

    return NAME.fullmatch(name) is not None and find_spec(_module_of(name)) is not None


def names() -> list[str]:
    """Return the names of all presets, in order. No preset is imported."""
    # Only faults and commands need the list.
    from pkgutil import iter_modules

    from domain import providers

    found = iter_modules(providers.__path__)
    return sorted(module.name.replace("_", "-") for module in found)


def _module_of(name: str) -> str:
    return f"{_PACKAGE}.{name.replace('-', '_')}"


def unknown_preset(name: str) -> str:
    """Return what is wrong with the name of no preset, with the most similar names."""
    from difflib import get_close_matches

    similar = get_close_matches(name.lower().replace("_", "-"), names(), n=_MOST_SUGGESTIONS)
    hint = f", similar to {', '.join(similar)}" if similar else ""
    return f"is not the name of a preset{hint}: docs/providers.md lists them; custom is for others"


def title(name: str) -> str:
    """Return the provider's name for people, as its preset's documentation begins.

    Without a preset of this name, return the name.
    """
    module = _module_of(name)
    text = __import__(module, fromlist=("PROVIDER",)).__doc__ if exists(name) else None
    return re.split(_TITLE_END, text or name, maxsplit=1)[0]
