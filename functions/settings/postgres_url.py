"""The URL of a Postgres database, in the form of libpq.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from functions.settings.environment import EnvReader

_SCHEMES = ("postgres://", "postgresql://")
_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)"
    r"(?:/(?P<database>[^@/?#]*))?(?:\?(?P<query>[^#]*))?"
)
# Several hosts are separated by commas. A folder is percent-encoded.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:,]*)(?::(?P<port>[0-9]{1,5})?)?")
_LARGEST_PORT = 65535
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FORM = "postgres://USER:PASSWORD@HOST/DATABASE"


def read_postgres(env: EnvReader, given: Mapping[str, str], *, has_other: bool) -> dict[str, str]:
    """Return the URLs of Postgres among the given ones, and add their faults.

    Platforms set DATABASE_URL for other programs, too. So one with another scheme is a fault only
    if there is no other store.
    """
    urls = {name: url for name, url in given.items() if url.lower().startswith(_SCHEMES)}
    if not urls and not has_other:
        for name in given:
            env.add_fault(f"{name} must be a postgres:// or postgresql:// URL")
        return dict(given)
    for name, url in urls.items():
        if fault := _fault_of(url):
            env.add_fault(f"{name} {fault}")
    if len({url.partition("://")[2] for url in urls.values()}) > 1:
        env.add_fault(
            f"{' and '.join(urls)} are different: set only that of the store, or both alike"
        )
    return urls


def _fault_of(url: str) -> str | None:
    """Return why a URL cannot be used, without any part of it; None if it can."""
    found = _URL.fullmatch(url)
    if found is None or any(character.isspace() for character in url):
        return f"must have the form {_FORM}, with special characters encoded (%40 for @)"
    if _BAD_ESCAPE.search(url):
        return "has a % that encodes no character: write %25 for % itself"
    query = parse_qs(found["query"] or "", keep_blank_values=True)
    if not (found["hosts"].strip(":") or query.get("host") or query.get("hostaddr")):
        return f"names no host: {_FORM}, or ?host=/FOLDER for a socket"
    if not all(map(_is_host, found["hosts"].split(","))):
        return "has an invalid host or port"
    if (modes := query.get("sslmode")) and not set(modes) <= set(_SSL_MODES):
        return f"has an unknown sslmode: it is one of {', '.join(_SSL_MODES)}"
    return None


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and 0 < int(found["port"] or 1) <= _LARGEST_PORT
