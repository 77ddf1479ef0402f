"""The members of a token response next to the tokens, such as Salesforce's `instance_url`."""

import logging
from collections.abc import Collection, Mapping, Sequence

from domain.extra import Extra, pick_members

_log = logging.getLogger(__name__)


def read_extra(
    members: Mapping[str, object], names: Sequence[str], *, secrets: Collection[str | None]
) -> Extra:
    """Return the named members. `authed_user.id` is the member `id` of the object `authed_user`.

    `secrets`: the tokens of the response, which no member may repeat.
    """
    found = pick_members(names, lambda name: _find(members, name), secrets=secrets)
    kept = {name for name, _ in found}
    for name in names:
        if name not in kept and _find(members, name) is not None:
            _log.warning(
                "the token response's member %s is ignored: it must be a text on one line of at "
                "most 2 KiB, a number, or true or false, and no token",
                name,
            )
    return found


def _find(members: Mapping[str, object], name: str) -> object:
    if name in members:
        return members[name]
    outer, _, inner = name.partition(".")
    value = members.get(outer)
    return _find(value, inner) if inner and isinstance(value, dict) else None
