"""Reading variables one by one: what is wrong with any of them is gathered, and nothing raised."""

from collections.abc import Mapping

from domain.metadata import is_safe_url


class Reading:
    """One pass over the environment that gathers all faults before it complains."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def optional(self, name: str, *, fits_a_header: bool = False) -> str | None:
        """Return a text, or None where there is none."""
        value = self._environ.get(name, "").strip()
        if value != value.encode("utf-8", "replace").decode():
            self.faults.append(f"{name} is not UTF-8")
        if fits_a_header and not all("!" <= character <= "~" for character in value):
            self.faults.append(f"{name} must be printable ASCII without spaces")
        return value or None

    def required(self, name: str, *, fits_a_header: bool = False) -> str:
        """Return a text; that there is none is a fault."""
        value = self.optional(name, fits_a_header=fits_a_header)
        if value is None:
            self.faults.append(f"{name} is not set")
        return value or ""

    def url(self, name: str) -> str | None:
        """Return an address to which secrets may be sent, or None where there is none."""
        value = self.optional(name)
        if value is not None and not is_safe_url(value):
            self.faults.append(f"{name} must be an https URL (http only for loopback)")
        return value

    def choice(self, name: str, choices: list[str]) -> str | None:
        """Return one of some words, or None where there is none."""
        value = self.optional(name)
        if value is not None and value not in choices:
            self.faults.append(f"{name} must be one of: {', '.join(choices)}")
            return None
        return value
