"""The texts of errors of redis-py and of the server, for the owner of REDIS_URL."""

import re

_PERMISSION = "the user lacks a permission: docs/redis.md has the rules it needs"
_PRIMARY = "use the address of the primary"
_CLUSTER = "this is a Redis Cluster: use a database with cluster mode off"
_NO_TLS = "the server has no TLS: use redis://"
_CLOSED = "the server closed the connection: one with TLS needs rediss://"
# The advice for an error, by the server's code or by other words: the first that is in it. The
# error of a script has the code of its command within.
_ADVICE = {
    "WRONGPASS": "the server refuses the user or the password: correct REDIS_URL",
    "NOAUTH": "the server requires a password: use redis://USER:PASSWORD@HOST:PORT",
    "without any password": "the server has no password: remove the one in REDIS_URL",
    "NOPERM": _PERMISSION,
    "ACL failure in script": _PERMISSION,
    "user executing the script": _PERMISSION,
    "READONLY": f"this is a read-only replica: {_PRIMARY}",
    "MASTERDOWN": f"this is a replica without its primary: {_PRIMARY}",
    "LOADING": "the server is still loading its data, and answers when that is done",
    "OOM": "the server's memory is full: raise its maxmemory, or remove other programs' data",
    "MISCONF": "the server cannot save to its disk: see its log",
    "NOREPLICAS": "the server has too few replicas to accept writes (min-replicas-to-write)",
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "max number of clients": "the server accepts no more connections: lower max_connections in "
    "REDIS_URL, or raise the server's maxclients",
    "DB index": "the server does not have the database that REDIS_URL ends in",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate cannot be verified: name its authority "
    "with ssl_ca_certs in REDIS_URL, and the host as in the certificate",
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "Timeout connecting": "no connection: check host, port and firewall, and whether the server "
    "has TLS (rediss://)",
    "connecting to": "no connection: check host and port",
    "Connection closed": _CLOSED,
    "reset by peer": _CLOSED,
    "Protocol Error": "the server does not speak Redis's protocol: check host and port",
}
# Redis quotes the arguments of a command that it does not know: AUTH has the password.
_QUOTED = "with args beginning with"
_LONGEST = 300


def error_text(error: BaseException, *, password: str | None) -> str:
    """Return a text that names REDIS_URL, the error and what to do, without the password."""
    code = getattr(error, "status_code", None)
    text = f"{'' if code is None else f'{code} '}{error}".partition(_QUOTED)[0]
    advice = next((f"{_ADVICE[words]}. " for words in _ADVICE if _contains(text, words)), "")
    if password:
        text = text.replace(password, "…")
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])
    return f"REDIS_URL: {advice}{type(error).__name__}: {text.strip()}"


def _contains(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text) is not None
