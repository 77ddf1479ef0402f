"""The presets, by name."""

from domain.provider import Provider
from functions.settings.presets import load, names

NAMES = names()
"""The names of all presets, in order."""


def preset_named(name: str) -> Provider:
    """Return a preset that there is."""
    found = load(name)
    assert found is not None, name
    return found
