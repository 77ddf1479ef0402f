"""The clients of a deployment: the unnamed one, and those of the variable CLIENTS.

CLIENTS is one JSON object, name to client. Each member means the same as the client's variable of
that name in upper case. The provider is the preset of the same name if `provider` is missing:

    {"google": {"client_id": "…", "client_secret_env": "GOOGLE_SECRET", "scope": "…"},
     "erp": {"provider": "custom", "issuer": "https://login.example", "client_id": "…", …}}

A client is read when it is needed first: fifty clients cost a fresh token no more than one.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from domain.connection import client_part, has_account
from functions.settings.client import ClientSettings, read_client
from functions.settings.environment import LAYOUT, EnvReader

VARIABLE = "CLIENTS"

Entry: TypeAlias = Mapping[str, object] | None
"""A client's members, as JSON. None: it is not an object."""


class UnknownClientError(LookupError):
    """A connection belongs to no client. The message lists the clients."""


class ClientError(Exception):
    """A client in CLIENTS that cannot be used; `faults` name it and its members."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The clients by name. `unnamed` is None if there are named ones only."""

    unnamed: ClientSettings | None
    entries: Mapping[str, Entry] = field(repr=False)
    # The values of the variables that entries refer to.
    references: Mapping[str, str] = field(repr=False)
    has_encryption_keys: bool
    _read: dict[str, ClientSettings] = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> tuple[str | None, ...]:
        """The names of all clients; None for the unnamed one."""
        return (*(() if self.unnamed is None else (None,)), *self.entries)

    def name_for(self, connection: str) -> str | None:
        """Return the name of the client of a connection, None for the unnamed one.

        Raises UnknownClientError.
        """
        name = client_part(connection)
        if name in self.entries:
            return name
        if self.unnamed is None or has_account(connection):
            raise UnknownClientError(
                f"The connection {connection!r} belongs to no client. The clients of this "
                f"deployment: {self._list()}."
            )
        return None

    def get(self, name: str | None) -> ClientSettings:
        """Return a client. Raises UnknownClientError, ClientError."""
        if name is None and self.unnamed is not None:
            return self.unnamed
        if name is None or name not in self.entries:
            raise UnknownClientError(f"Unknown client. The clients: {self._list()}.")
        if name not in self._read:
            client, faults = self._check(name, loads_preset=True)
            if faults:
                raise ClientError(faults)
            self._read[name] = client
        return self._read[name]

    def usable(self) -> Iterator[ClientSettings]:
        """Yield each client whose settings are valid."""
        for name in self.names:
            with suppress(ClientError):
                yield self.get(name)

    def faults(self, *, loads_presets: bool = True) -> Iterator[str]:
        """Yield the faults of every named client.

        Without `loads_presets`, a missing value of a preset's endpoint is found by a request only.
        """
        for name in self.entries:
            yield from self._check(name, loads_preset=loads_presets)[1]

    def _check(self, name: str, *, loads_preset: bool) -> tuple[ClientSettings, list[str]]:
        # Imported where CLIENTS is set.
        from functions.settings.named_clients import read_named_client

        return read_named_client(
            name,
            self.entries[name],
            self.references,
            has_encryption_keys=self.has_encryption_keys,
            loads_preset=loads_preset,
        )

    def _list(self) -> str:
        names = ", ".join(sorted(self.entries)) or "none has a name"
        return names if self.unnamed is None else f"{names}, and the unnamed one"


def read_clients(
    env: EnvReader, environ: Mapping[str, str], *, has_encryption_keys: bool
) -> Clients:
    """Read CLIENTS, and the unnamed client if there is one.

    A fault of the whole variable is added to the reader's. A fault of one named client is not: the
    others work.
    """
    entries, references = dict[str, Entry](), dict[str, str]()
    has_unnamed = True
    if env.optional(VARIABLE, invisible=LAYOUT) is not None:
        from functions.settings.named_clients import needs_unnamed_client, read_entries

        entries, references = read_entries(env, environ)
        has_unnamed = needs_unnamed_client(env, entries, has_encryption_keys=has_encryption_keys)
    return Clients(
        unnamed=read_client(env, name=None, has_encryption_keys=has_encryption_keys)
        if has_unnamed
        else None,
        entries=entries,
        references=references,
        has_encryption_keys=has_encryption_keys,
    )
