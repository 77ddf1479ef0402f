"""The members of an entry of ALERTS, read one by one.

A secret may be in a variable of its own: `"url_env": "SLACK_URL"` instead of `"url": "https://…"`.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping

from domain.metadata import is_safe_url
from functions.settings.alert_targets import Addresses
from functions.settings.api_keys import EntryError
from functions.settings.pasted import paste_fault

BY_REFERENCE = "_env"
# Standard Webhooks: "between 24 bytes (192 bits) and 64 bytes (512 bits)".
_SECRET_BYTES = range(24, 65)
_SECRET_PREFIX = "whsec_"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# RFC 5322 §3.4 without comments and groups. `email.utils` would cost a cold start 5 ms.
_PLAIN_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,254}"
_PHRASE = r'[^"<>@,;:()\[\]\\]{1,100}|"[^"\\]{1,100}"'
_ADDRESS = re.compile(f"{_PLAIN_ADDRESS}|({_PHRASE}) <{_PLAIN_ADDRESS}>")
_LONGEST_TEXT = 2000
_MOST_ADDRESSES = 50

HOW_TO_MAKE = 'generate one with echo "whsec_$(openssl rand -base64 32)"'


class Members:
    """Reads the members of one entry. `environ` has the values of the variables it refers to."""

    def __init__(self, entry: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._entry = entry
        self._environ = environ

    def text(self, name: str, *, of: str, fits: Callable[[str], object] = bool) -> str:
        """Return a text. `of` says which ones fit. Raises EntryError."""
        value = self.optional(name, of=of, fits=fits)
        if value is None:
            raise EntryError(f"{name} is required: {of}")
        return value

    def optional(self, name: str, *, of: str, fits: Callable[[str], object] = bool) -> str | None:
        """Return a text, None if it is missing. Raises EntryError."""
        return self._fitting(name, self._entry.get(name), of=of, fits=fits)

    def secret(self, name: str, *, of: str, fits: Callable[[str], object] = bool) -> str:
        """Return a text that may be in a variable of its own. Raises EntryError."""
        value = self.optional_secret(name, of=of, fits=fits)
        if value is None:
            raise EntryError(f"{name} or {name}{BY_REFERENCE} is required: {of}")
        return value

    def optional_secret(
        self, name: str, *, of: str, fits: Callable[[str], object] = bool
    ) -> str | None:
        """Return the same, None if both members are missing. Raises EntryError."""
        variable = self._entry.get(f"{name}{BY_REFERENCE}")
        if variable is None:
            return self.optional(name, of=of, fits=fits)
        if name in self._entry:
            raise EntryError(f"set {name} or {name}{BY_REFERENCE}, not both")
        if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            raise EntryError(f"{name}{BY_REFERENCE} must be the name of a variable")
        value = self._environ.get(variable, "").strip()
        if not value:
            raise EntryError(f"{name}{BY_REFERENCE} names {variable}, which is not set")
        return self._fitting(f"{name} (in {variable})", value, of=of, fits=fits)

    def url(self, name: str, *, default: str | None = None) -> str:
        """Return an address that is safe for secrets. Raises EntryError."""
        of = "an https URL (http only for loopback), without a user"
        value = self.optional_secret(name, of=of, fits=is_safe_url)
        if value is None and default is not None:
            return default
        return self.secret(name, of=of, fits=is_safe_url) if value is None else value

    def webhook_secrets(self, name: str) -> tuple[str, ...]:
        """Return the secrets that sign webhooks. Raises EntryError."""
        of = f"whsec_ and 24 to 64 bytes in base64, several separated by spaces: {HOW_TO_MAKE}"
        return tuple(self.secret(name, of=of, fits=are_webhook_secrets).split())

    def texts(self, name: str, *, of: str, fits: Callable[[str], object] = bool) -> tuple[str, ...]:
        """Return a list of texts, or one text, which is required. Raises EntryError."""
        value = self._entry.get(name)
        values = value if isinstance(value, list) else [value]
        found = [self._fitting(name, each, of=of, fits=fits) for each in values]
        if not found or None in found or len(found) > _MOST_ADDRESSES:
            raise EntryError(f"{name} must be {of}: one or a list of at most {_MOST_ADDRESSES}")
        return tuple(each for each in found if each is not None)

    def number(self, name: str, allowed: range, *, default: int | None = None) -> int | None:
        """Return a whole number. Raises EntryError."""
        value = self._entry.get(name, default)
        if value is not None and (type(value) is not int or value not in allowed):
            last = allowed.stop - 1
            raise EntryError(f"{name} must be a whole number from {allowed.start} to {last}")
        return value if isinstance(value, int) else None

    def addresses(self) -> Addresses:
        """Return the sender (`from`) and the recipients (`to`) of a mail. Raises EntryError."""
        of = "a mail address, such as keeper@example.com or Keeper <keeper@example.com>"
        return Addresses(
            sender=self.text("from", of=of, fits=is_address),
            recipients=self.texts("to", of=of, fits=is_address),
        )

    def value(self, name: str) -> object:
        """Return a member of any type, None if it is missing."""
        return self._entry.get(name)

    @staticmethod
    def _fitting(name: str, value: object, *, of: str, fits: Callable[[str], object]) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > _LONGEST_TEXT:
            raise EntryError(f"{name} must be {of}")
        if fault := paste_fault(value):
            raise EntryError(f"{name} {fault}")
        if not fits(value):
            raise EntryError(f"{name} must be {of}")
        return value


def are_webhook_secrets(text: str) -> bool:
    """Whether a text has secrets for Standard Webhooks only, separated by spaces."""
    return bool(text.split()) and all(map(_is_webhook_secret, text.split()))


def _is_webhook_secret(text: str) -> bool:
    try:
        key = b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(_SECRET_PREFIX) and len(key) in _SECRET_BYTES


def is_address(text: str) -> bool:
    """Whether a text is one mail address, optionally with a name before it."""
    return _ADDRESS.fullmatch(text) is not None
