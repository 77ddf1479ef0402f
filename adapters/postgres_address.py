"""Where a Postgres database is: its URL, made into the parameters of libpq."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

CONNECT_LIMIT = timedelta(seconds=3)
# Parameters of the URL win over these.
_DEFAULTS = {
    "application_name": "oauth-callback",
    "client_encoding": "UTF8",
    "connect_timeout": str(CONNECT_LIMIT // timedelta(seconds=1)),
    # A peer that is gone without a word is noticed while a connection waits for its next use.
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """A database, and how it is named in texts.

    `variable`: the variable that has the URL. `parameters`: those of libpq, with the password.
    """

    variable: str
    parameters: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, url: str, variable: str) -> "PostgresAddress":
        """Read a URL that the settings have checked. Parameters that libpq lacks are left out."""
        given = {name: str(value) for name, value in conninfo_to_dict(_known_only(url)).items()}
        return cls(variable=variable, parameters={**_DEFAULTS, **_with_authorities(given)})

    @property
    def host(self) -> str:
        """The host, or the folder of a socket."""
        given = self.parameters
        return str(given.get("host") or given.get("hostaddr") or "the default host")

    def __str__(self) -> str:
        """Name the database, without user and password."""
        name = self.parameters.get("dbname")
        database = "the default database" if name is None else f"the database {name}"
        return f"{database} at {self.host} ({self.variable})"


def _known_only(url: str) -> str:
    """Leave out parameters of other clients, such as pgbouncer=true, which libpq refuses."""
    # No URL of RFC 3986: it may have several hosts, or none.
    base, _, query = url.partition("?")
    known = {each.keyword.decode() for each in Conninfo.get_defaults()}
    kept = [pair for pair in query.split("&") if unquote(pair.partition("=")[0]) in known]
    return f"{base}?{'&'.join(kept)}"


def _with_authorities(given: dict[str, str]) -> dict[str, str]:
    """Give sslrootcert=system the authorities of this software's other connections.

    The OpenSSL that comes with psycopg's wheel finds the system's own in some systems only.
    """
    if given.get("sslrootcert") != "system" or given.get("sslmode", "verify-full") != "verify-full":
        return given
    return {**given, "sslrootcert": _authorities(), "sslmode": "verify-full"}


def _authorities() -> str:
    if named := os.environ.get("SSL_CERT_FILE"):
        return named
    spec = find_spec("certifi")
    if spec is None or not spec.submodule_search_locations:
        return "system"
    return str(Path(spec.submodule_search_locations[0], "cacert.pem"))
