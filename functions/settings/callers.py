"""The callers of a deployment that have no stored secret: workloads with an identity token.

`CALLERS` is a JSON array of entries. A JWT of the issuer, for the audience, with these claims, is a
key for what its entry allows. The first entry that accepts a token decides:

    [{"name": "deploy", "issuer": "https://token.actions.githubusercontent.com",
      "audience": "https://keeper.example",
      "claims": {"repository": "acme/shop", "ref": {"glob": "refs/heads/release-*"}},
      "connections": ["default"], "endpoints": ["token"]}]

A claim is the same text, number or boolean, or matches a `glob`. `sub` or `repository` is required:
GitHub, GitLab.com and Vercel sign tokens for all of their customers. `connections` and `endpoints`
are those of `API_KEYS`. `jwks` has the keys of an issuer that the deployment cannot reach, such as
that of a private Kubernetes cluster.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.identity_token import Glob, IdentityRule, Plain
from domain.jwk_set import JwkSet, UnusableKeysError
from domain.metadata import is_safe_url
from functions.settings.api_keys import (
    EntryError,
    read_connections,
    read_endpoints,
    read_entries,
    read_name,
    refuse_unknown_members,
)

_VARIABLE = "CALLERS"
_MEMBERS = ("name", "issuer", "audience", "claims", "connections", "endpoints", "jwks")
_LIKE = '{"name": …, "issuer": …, "audience": …, "claims": {"sub": …}}'
# One of them says whose token it is.
_TENANTS = ("sub", "repository")
# Checked by themselves.
_REGISTERED = frozenset({"aud", "exp", "iat", "iss", "nbf"})
_MOST_CLAIMS = 20
_LONGEST_TEXT = 1000
_MOST_WILDCARDS = 5
_SCHEME = re.compile("^[a-z]+://")
_SEPARATORS = re.compile("[/:]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEntry:
    """One entry: which tokens it accepts, and for what; None is unrestricted.

    `keys` is None if the issuer publishes them.
    """

    name: str
    rule: IdentityRule
    keys: JwkSet | None = None
    connections: frozenset[str] | None = None
    endpoints: frozenset[str] | None = None


def read_callers(text: str, key_names: Sequence[str], faults: list[str]) -> tuple[CallerEntry, ...]:
    """Read the value of CALLERS, and add its faults. `key_names` are those of the API keys."""
    entries = tuple(read_entries(_VARIABLE, text, _entry, faults, like=_LIKE))
    faults += _find_repeated_names([entry.name for entry in entries], key_names)
    faults += _find_different_keys(entries)
    return entries


def _entry(entry: Mapping[str, object]) -> CallerEntry:
    refuse_unknown_members(entry, _MEMBERS)
    return CallerEntry(
        name=read_name(entry),
        rule=IdentityRule(
            issuer=_issuer(entry.get("issuer")),
            audience=_text(entry, "audience"),
            claims=_claims(entry.get("claims")),
        ),
        keys=_keys(entry),
        connections=read_connections(entry),
        endpoints=read_endpoints(entry),
    )


def _issuer(value: object) -> str:
    if not isinstance(value, str) or not is_safe_url(value) or "?" in value:
        raise EntryError(
            "issuer must be an https URL without a query (http only for loopback), exactly as in "
            "the tokens"
        )
    return value


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not _is_text(value):
        raise EntryError(f"{name} must be a text of 1 to {_LONGEST_TEXT} characters")
    return value


def _claims(value: object) -> Mapping[str, Plain | Glob]:
    if not isinstance(value, dict) or not 0 < len(value) <= _MOST_CLAIMS:
        raise EntryError(
            f"claims must be an object of 1 to {_MOST_CLAIMS} claims, without repeated members"
        )
    if not _REGISTERED.isdisjoint(value):
        raise EntryError(f"claims must not have {', '.join(sorted(_REGISTERED))}: see audience")
    claims = {name: _claim(name, wanted) for name, wanted in value.items()}
    if claims.keys().isdisjoint(_TENANTS):
        raise EntryError(
            "claims must have sub or repository: issuers such as GitHub sign tokens for everybody"
        )
    return claims


def _claim(name: str, wanted: object) -> Plain | Glob:
    match wanted:
        case {"glob": str(pattern), **others} if not others:
            return _glob(name, pattern)
        case str() if _is_text(wanted):
            return wanted
        case bool() | int() if name not in _TENANTS:
            return wanted
        case _:
            raise EntryError(
                f"claims: {_quote(name)} must be a text{_or_number(name)} or "
                '{"glob": "text with *"}'
            )


def _glob(name: str, pattern: str) -> Glob:
    glob = Glob(pattern)
    if not _is_text(pattern) or not 0 < pattern.count("*") <= _MOST_WILDCARDS:
        raise EntryError(
            f"claims: the glob of {_quote(name)} must be a text with 1 to {_MOST_WILDCARDS} `*`"
        )
    if name in _TENANTS and not _names_tenant(glob.fixed_start):
        raise EntryError(
            f"claims: the glob of {name} must have the whole name of the owner before its first "
            "`*`, such as acme/* or repo:acme/*"
        )
    return glob


def _names_tenant(start: str) -> bool:
    """Whether a text names an owner completely: `acme/`, `repo:acme/`, `https://acme.example/`."""
    plain = _SCHEME.sub("", start)
    *parts, rest = _SEPARATORS.split(plain)
    # In the first form there is no word such as `repo:` before the owner.
    return rest == "" and len([*filter(None, parts)]) > (":" in plain)


def _keys(entry: Mapping[str, object]) -> JwkSet | None:
    if "jwks" not in entry:
        return None
    document = entry["jwks"]
    try:
        return JwkSet.read(document if isinstance(document, dict) else None)
    except UnusableKeysError as error:
        raise EntryError(f"jwks is not usable: {error}") from error


def _find_repeated_names(names: list[str], key_names: Sequence[str]) -> Iterator[str]:
    for name, number in Counter(names).items():
        if number > 1:
            yield f"{_VARIABLE} has the name {name!r} more than once"
        if name in key_names:
            # The history has the name only.
            yield f"{_VARIABLE} and API_KEYS both have the name {name!r}"


def _find_different_keys(entries: Sequence[CallerEntry]) -> Iterator[str]:
    first: dict[str, CallerEntry] = {}
    for entry in entries:
        other = first.setdefault(entry.rule.issuer, entry)
        if other.keys != entry.keys:
            yield (
                f"{_VARIABLE}, entries {other.name!r} and {entry.name!r}: they have one issuer, "
                "and must have the same jwks"
            )


def _is_text(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _quote(name: str) -> str:
    # A misplaced value may stand in the place of a name.
    return repr(name) if re.fullmatch(r"[A-Za-z0-9_.:/\-]{1,40}", name) else "a claim"


def _or_number(name: str) -> str:
    return "" if name in _TENANTS else ", a number, a boolean"
