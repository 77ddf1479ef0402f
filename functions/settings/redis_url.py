"""REDIS_URL: what is accepted of the URLs that redis-py reads."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

_DATABASE = re.compile(r"[0-9]{1,5}")
_CONNECTIONS = re.compile(r"[1-9][0-9]{0,3}")
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
# redis-py reads these, and any argument of its connections. The others would change what the store
# relies on: time limits, retries, verification.
_OPTIONS = ("db", "max_connections", *_FILES, "ssl_ca_data")
# Their safe values, as redis-py has them by default.
_ALWAYS = {"ssl_cert_reqs": {"required"}, "ssl_check_hostname": {"true", "yes", "1"}}
_SPECIAL = "write # / ? @ % in a password as %23 %2F %3F %40 %25"


def redis_url_fault(url: str) -> str | None:
    """Return why a URL cannot be used; None if it can. The text quotes nothing of it."""
    try:
        parts = urlsplit(url)
        faults = _faults_of(parts, parse_qs(parts.query))
        return next(faults, None)
    except ValueError:
        # Python's text quotes the part that is wrong.
        return f"is not a URL: {_SPECIAL}"


def _faults_of(parts: SplitResult, options: Mapping[str, list[str]]) -> Iterator[str]:
    if re.search("sentinel|cluster", parts.scheme):
        yield (
            "must be redis:// or rediss:// (TLS): redis-py has no URL for Sentinel or Cluster. Use "
            "the address of the primary, of a database with cluster mode off"
        )
    if parts.scheme not in {"redis", "rediss"}:
        yield "must begin with redis:// or rediss:// (TLS)"
    if not parts.hostname or parts.fragment:
        yield f"has no host: use redis://USER:PASSWORD@HOST:6379/0, and {_SPECIAL}"
    if "," in parts.netloc.rpartition("@")[2]:
        yield "must have one host: use the address of the primary"
    if _has_bad_port(parts):
        yield f"has a bad port: use a number from 1 to 65535, and {_SPECIAL}"
    if parts.username and not parts.password:
        yield "has a user without a password: a password alone is redis://:PASSWORD@HOST"
    if parts.path.strip("/") and not _DATABASE.fullmatch(parts.path[1:]):
        yield f"must end in the number of a database, such as /0: {_SPECIAL}"
    yield from _faults_of_options(parts.scheme, {name: given[0] for name, given in options.items()})


def _has_bad_port(parts: SplitResult) -> bool:
    try:
        return parts.port == 0 or parts.netloc.endswith(":")
    except ValueError:
        return True


def _faults_of_options(scheme: str, options: Mapping[str, str]) -> Iterator[str]:
    for name, safe in _ALWAYS.items():
        if options.get(name, min(safe)).lower() not in safe:
            yield f"must not turn off {name}: name the certificate authority with ssl_ca_certs"
    if not options.keys() <= {*_OPTIONS, *_ALWAYS}:
        yield f"has an unknown parameter. Allowed: {', '.join(_OPTIONS)}"
    if scheme == "redis" and any(name.startswith("ssl_") for name in options):
        yield "must begin with rediss:// to use ssl_ parameters"
    if not _DATABASE.fullmatch(options.get("db", "0")):
        yield "must have a number as db"
    if not _CONNECTIONS.fullmatch(options.get("max_connections", "1")):
        yield "must have a number from 1 to 9999 as max_connections"
    for name in _FILES:
        if name in options and not Path(options[name]).exists():
            yield f"names a file as {name} that does not exist"
