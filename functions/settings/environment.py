"""Reads environment variables one by one, and collects their faults instead of raising."""

import re
from collections.abc import Mapping

from domain.metadata import is_safe_url
from functions.settings.pasted import paste_fault

# 24 characters of base64 are 144 bits, of hexadecimal 96: too many to guess.
MIN_SECRET_LENGTH = 24
# A random secret of this length has more distinct characters, hexadecimal or not.
_MIN_DISTINCT_CHARACTERS = 6
# In lower case, without separators.
_COMMON_SECRETS = (
    "0123456789",
    "abcdefghij",
    "changeme",
    "placeholder",
    "replaceme",
    "yourapikey",
    "yourkey",
    "yoursecret",
)

LAYOUT = "\n\r\t"
"""Invisible characters that a value of several lines may contain."""

_NUMBER = r"[0-9]{1,9}"


class EnvReader:
    """Reads variables and collects their faults in `faults`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def optional(
        self, name: str, *, fits_a_header: bool = False, invisible: str = ""
    ) -> str | None:
        """Return a text, None if unset; it may contain the `invisible` characters."""
        value = self._environ.get(name, "").strip()
        if value and not value.strip(".…"):
            self.add_fault(f"{name} is still the placeholder … of the example: set your own value")
            return value
        if value != value.encode("utf-8", "replace").decode():
            self.add_fault(f"{name} is not UTF-8")
        elif fits_a_header and not all("!" <= character <= "~" for character in value):
            self.add_fault(f"{name} must be printable ASCII without spaces")
        elif fault := paste_fault(value, allowed=invisible):
            self.add_fault(f"{name} {fault}")
        return value or None

    def add_fault(self, fault: str) -> None:
        """Add a fault once, however often a variable is read."""
        if fault not in self.faults:
            self.faults.append(fault)

    def required(self, name: str, *, fits_a_header: bool = False) -> str:
        """Return a text; a missing one is a fault."""
        value = self.optional(name, fits_a_header=fits_a_header)
        if value is None:
            self.faults.append(f"{name} is not set")
        return value or ""

    def secret(self, name: str, *, fits_a_header: bool = True) -> str | None:
        """Return a secret, None if unset; one that is easy to guess is a fault."""
        faults = len(self.faults)
        value = self.optional(name, fits_a_header=fits_a_header)
        weakness = None if value is None or len(self.faults) > faults else weakness_of(value)
        if weakness is not None:
            self.faults.append(f"{name} {weakness}: generate one with openssl rand -hex 32")
        return value

    def url(self, name: str) -> str | None:
        """Return a URL that is safe for secrets, None if unset."""
        faults = len(self.faults)
        value = self.optional(name)
        if value is not None and len(self.faults) == faults and not is_safe_url(value):
            self.faults.append(f"{name} must be an https URL (http only for loopback)")
        return value

    def number(self, name: str, *, default: int) -> int:
        """Return a whole number of at least 0."""
        value = self.optional(name)
        if value is None:
            return default
        if not re.fullmatch(_NUMBER, value):
            self.faults.append(f"{name} must be a whole number from 0 to 999999999")
            return default
        return int(value)

    def choice(self, name: str, choices: list[str]) -> str | None:
        """Return one of `choices`, None if unset."""
        value = self.optional(name)
        if value is not None and value not in choices:
            self.faults.append(f"{name} must be one of: {', '.join(choices)}")
            return None
        return value


def weakness_of(secret: str) -> str | None:
    """Return why a secret is easy to guess; None for a good one."""
    if len(secret) < MIN_SECRET_LENGTH:
        return f"is shorter than {MIN_SECRET_LENGTH} characters"
    # A repetition occurs in its double, away from the ends.
    if secret in (secret * 2)[1:-1] or len(set(secret)) < _MIN_DISTINCT_CHARACTERS:
        return "repeats itself"
    plain = re.sub(r"[^a-z0-9]", "", secret.lower())
    if any(guess in plain for guess in _COMMON_SECRETS):
        return "is a placeholder or a sequence of characters"
    return None
