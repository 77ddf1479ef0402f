"""The entries of CLIENTS: each is a client whose members are its variables in lower case."""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from domain.connection import DEFAULT_CONNECTION, is_connection
from functions.settings.client import CLIENT_VARIABLES, ClientSettings, read_client
from functions.settings.clients import VARIABLE, Entry
from functions.settings.environment import LAYOUT, EnvReader

_EXAMPLE = '{"google": {"client_id": "…", "client_secret": "…"}}'
# A part of a connection's name and of a URL's path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_MEMBERS = frozenset(map(str.lower, CLIENT_VARIABLES))
# These may stand in a variable of their own, which `client_secret_env` names.
_SECRETS = frozenset({"client_private_key", "client_secret", "previous_client_secret"})
_BY_REFERENCE = "_env"
_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# These may be a JSON object instead of its text.
_OBJECTS = frozenset(
    {
        "authorization_names",
        "authorization_params",
        "code_params",
        "endpoint_values",
        "refresh_params",
        "refusal_words",
        "response_names",
        "token_headers",
        "token_params",
        "token_request_names",
    }
)
_VARIABLE_IN_FAULT = re.compile(r"\b[A-Z][A-Z_]+\b")
# The variables of the unnamed client that only this client would have.
_UNNAMED = ("CLIENT_ID", "CLIENT_SECRET", "CLIENT_PRIVATE_KEY")


def read_entries(
    env: EnvReader, environ: Mapping[str, str]
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the entries by name, and the values of the variables that they refer to."""
    entries = _entries(env)
    return entries, {name: environ.get(name, "") for name in _references(entries)}


def needs_unnamed_client(
    env: EnvReader, entries: Mapping[str, Entry], *, has_encryption_keys: bool
) -> bool:
    """Whether there is an unnamed client as well. Its conflicts with the named ones are faults."""
    has_unnamed = not entries or any(
        env.optional(name, invisible=LAYOUT) is not None for name in _UNNAMED
    )
    if not has_unnamed and not has_encryption_keys:
        env.faults.append(
            "ENCRYPTION_KEYS is not set, and is required with CLIENTS and without CLIENT_SECRET: "
            "generate one with openssl rand -base64 32"
        )
    if has_unnamed and DEFAULT_CONNECTION in entries:
        env.faults.append(
            f"CLIENTS must not name a client {DEFAULT_CONNECTION} if CLIENT_ID is set: the "
            "connection of that name belongs to the unnamed client"
        )
    return has_unnamed


def read_named_client(
    name: str,
    entry: Entry,
    references: Mapping[str, str],
    *,
    has_encryption_keys: bool,
    loads_preset: bool,
) -> tuple[ClientSettings, list[str]]:
    """Read one client, and return it with its faults, which name it and its members."""
    env = _EntryReader(name, entry, references)
    client = read_client(
        env, name=name, has_encryption_keys=has_encryption_keys, loads_preset=loads_preset
    )
    return client, env.named_faults()


def _entries(env: EnvReader) -> dict[str, Entry]:
    text = env.optional(VARIABLE, invisible=LAYOUT)
    if text is None:
        return {}
    try:
        found = json.loads(text, object_pairs_hook=_Members.of)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        env.faults.append(f"CLIENTS must be a JSON object of clients: {_EXAMPLE}")
        return {}
    if isinstance(found, _Members) and found.repeated:
        env.faults.append("CLIENTS has two clients of one name")
    if bad := [name for name in found if not _is_name(name)]:
        env.faults.append(
            f"CLIENTS has {len(bad)} invalid names of clients: use up to 64 letters, digits and "
            ". _ -, starting with a letter or digit"
        )
    return {
        name: entry if isinstance(entry, dict) else None
        for name, entry in found.items()
        if _is_name(name)
    }


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and is_connection(text)


class _Members(dict[str, object]):
    """A JSON object that knows whether a member was repeated."""

    repeated: bool = False

    @classmethod
    def of(cls, pairs: list[tuple[str, object]]) -> "_Members":
        members = cls(pairs)
        members.repeated = len(members) < len(pairs)
        return members


def _references(entries: Mapping[str, Entry]) -> Iterator[str]:
    for entry in entries.values():
        for secret in _SECRETS:
            name = (entry or {}).get(f"{secret}{_BY_REFERENCE}")
            if isinstance(name, str):
                yield name


class _EntryReader(EnvReader):
    """Reads the members of one client as if they were variables."""

    def __init__(self, name: str, entry: Entry, references: Mapping[str, str]) -> None:
        self._client = name
        super().__init__({})
        if entry is None:
            self._structure_faults = ["it must be an object"]
            return
        self._structure_faults = list(_structure_faults(entry, references))
        values = {"provider": name, **dict(_with_references(entry, references))}
        self._environ = {
            member.upper(): text
            for member, value in values.items()
            if (text := _text(member, value)) is not None
        }

    def named_faults(self) -> list[str]:
        """Return the faults, with the client and its members named as in CLIENTS."""
        # The members that are wrong in themselves would be reported as missing, too.
        faults = self._structure_faults or self.faults
        return [fault_of_client(self._client, fault) for fault in faults]


def fault_of_client(name: str | None, fault: str) -> str:
    """Return a fault, with the client and its members named as in CLIENTS if it has a name."""
    return fault if name is None else f"client {name!r} in CLIENTS: {_in_members(fault)}"


def _in_members(fault: str) -> str:
    def lower(found: re.Match[str]) -> str:
        return found[0].lower() if found[0] in CLIENT_VARIABLES else found[0]

    return _VARIABLE_IN_FAULT.sub(lower, fault)


def _structure_faults(entry: Mapping[str, object], references: Mapping[str, str]) -> Iterator[str]:
    known = _MEMBERS | {f"{name}{_BY_REFERENCE}" for name in _SECRETS}
    if isinstance(entry, _Members) and entry.repeated:
        yield "it has a member twice"
    if unknown := len(entry.keys() - known):
        # A misplaced value may be a secret, and is not quoted.
        yield f"it has {unknown} unknown members; the members are {', '.join(sorted(known))}"
    for member, value in entry.items():
        if member in known and _text(member, value) is None:
            also = ", or an object of texts" if member in _OBJECTS else ""
            yield f"{member} must be a text{also}"
    for member in _SECRETS:
        yield from _reference_faults(member, entry, references)


def _reference_faults(
    member: str, entry: Mapping[str, object], references: Mapping[str, str]
) -> Iterator[str]:
    reference = f"{member}{_BY_REFERENCE}"
    name = entry.get(reference)
    if not isinstance(name, str):
        return
    if member in entry:
        yield f"set {member} or {reference}, not both"
    if not _REFERENCE.fullmatch(name):
        yield f"{reference} must be the name of a variable"
    elif not references.get(name, "").strip():
        yield f"{reference} names the variable {name}, which is not set"


def _with_references(
    entry: Mapping[str, object], references: Mapping[str, str]
) -> Iterator[tuple[str, object]]:
    for member, value in entry.items():
        target = member.removesuffix(_BY_REFERENCE)
        if target != member and target in _SECRETS and isinstance(value, str):
            yield target, references.get(value, "")
        else:
            yield member, value


def _text(member: str, value: object) -> str | None:
    """Return a member as the text of its variable; None if it has another type."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or member not in _OBJECTS:
        return None
    texts = {name: each for name, each in value.items() if isinstance(each, str)}
    if len(texts) < len(value):
        return None
    return json.dumps(texts) if member == "refusal_words" else urlencode(texts)
