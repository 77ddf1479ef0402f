"""The export format: one encrypted line per connection, and a last line that authenticates all.

A line is `{"connection": …, "sealed": …}`, bound to its connection. The last line is
`{"end": …}`: the number of the other lines, their digest, and the client of the grants. If the
grants are of several clients, it also has the connections of each.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from adapters.grant_json import dump_record, load_record
from adapters.sealing import KeyRing, SealError
from adapters.stored_json import FormatError
from domain.grant import Moved
from ports.export import ExportedGrant, UnreadableExportError

_KEY_ADVICE = (
    "set the CLIENT_SECRET and the ENCRYPTION_KEYS that it was exported with; those may follow "
    "this deployment's own"
)


class SealedExport:
    """Encrypts grants with the first key of the ring. Each key of the ring can decrypt."""

    def __init__(self, keys: KeyRing, *, client_of: Callable[[str], str]) -> None:
        """`client_of` names client and provider of a connection.

        Refresh tokens are useless to any other client.
        """
        self._keys = keys
        self._client_of = client_of

    def write(self, grants: Mapping[str, ExportedGrant]) -> list[str]:
        """Encrypt the grants. The last line authenticates all others."""
        lines = [self._line(connection, grant) for connection, grant in grants.items()]
        end = {**_sum(lines), **self._clients(grants)}
        return [*lines, json.dumps({"end": self._keys.seal(_dump(end), "export's end")})]

    def read(self, lines: Iterable[str]) -> dict[str, ExportedGrant]:
        """Return the grants by connection. Raises UnreadableExportError."""
        *body, last = [line.strip() for line in lines] or [""]
        self._check_end(body, _members(last, "end"))
        return dict(self._grant(number, line) for number, line in enumerate(body, start=1))

    def _line(self, connection: str, grant: ExportedGrant) -> str:
        text = dump_record(grant.moved, grant.ledger)
        sealed = self._keys.seal(text, "export", connection)
        return json.dumps({"connection": connection, "sealed": sealed})

    def _check_end(self, body: Sequence[str], members: Mapping[str, str] | None) -> None:
        if members is None:
            raise UnreadableExportError(
                "its last line is missing: it is incomplete, or not an export"
            )
        try:
            end = json.loads(self._keys.open(members["end"], "export's end"))
        except SealError as error:
            raise UnreadableExportError(f"it cannot be opened: {error}; {_KEY_ADVICE}") from error
        if end != end | _sum(body):
            raise UnreadableExportError("lines are missing or changed")
        self._check_clients(end, _connections(body))

    def _clients(self, connections: Iterable[str]) -> dict[str, object]:
        clients = dict[str, list[str]]()
        for connection in connections:
            clients.setdefault(self._client_of(connection), []).append(connection)
        end: dict[str, object] = {"client": " and ".join(clients)}
        return end | {"clients": clients} if len(clients) > 1 else end

    def _check_clients(self, end: Mapping[str, Any], connections: list[str]) -> None:
        """Check that this deployment has the client of each connection."""
        clients: Mapping[str, list[str]] = end.get("clients", {end["client"]: connections})
        for exporter, names in clients.items():
            for name in names:
                if (here := self._client_of(name)) != exporter:
                    raise UnreadableExportError(
                        f"client {exporter} exported it, and client {here} cannot use its "
                        "refresh tokens: set that client's CLIENT_ID and PROVIDER"
                    )

    def _grant(self, number: int, line: str) -> tuple[str, ExportedGrant]:
        members = _members(line, "connection", "sealed")
        if members is None:
            raise UnreadableExportError(f"its line {number} does not hold a connection")
        connection = members["connection"]
        try:
            text = self._keys.open(members["sealed"], "export", connection)
            moved, ledger = load_record(text)
        except (SealError, FormatError) as error:
            raise UnreadableExportError(
                f"its line {number} cannot be opened: {error}; {_KEY_ADVICE}"
            ) from error
        if not isinstance(moved, Moved):
            raise UnreadableExportError(f"its line {number} is of a grant that was not handed over")
        return connection, ExportedGrant(moved=moved, ledger=ledger)


def _sum(lines: Sequence[str]) -> dict[str, object]:
    digest = sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    return {"connections": len(lines), "digest": digest}


def _connections(lines: Sequence[str]) -> list[str]:
    """Return the connections of the lines. A damaged line is reported later."""
    members = (_members(line, "connection") for line in lines)
    return [found["connection"] for found in members if found is not None]


def _dump(members: Mapping[str, object]) -> bytes:
    return json.dumps(members).encode()


def _members(line: str, *names: str) -> Mapping[str, str] | None:
    """Return a line's members; None if one of these names is missing or not text."""
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(members, dict) and all(isinstance(members.get(n), str) for n in names)
    return members if is_one else None
