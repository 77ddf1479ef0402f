"""A secret with more variables, as one JSON object of strings.

`CLIENTS` may be an object, and `ALERTS` an array.
"""

import json
import re
from collections.abc import Mapping

from functions.settings.client import CLIENT_VARIABLES
from functions.settings.settings import SettingsError

VARIABLES = CLIENT_VARIABLES | {
    "ALERTS",
    "ALERT_EXPIRES_SOON",
    "ALERT_REFRESH_FAILING",
    "ALERT_SWEEP_OVERDUE",
    "ALERT_WEBHOOK_SECRET",
    "ALERT_WEBHOOK_URL",
    "API_KEY",
    "API_KEYS",
    "CALLERS",
    "CLIENTS",
    "CRON_SECRET",
    "ENCRYPTION_KEYS",
    "FAILURE_LIMIT",
    "KV_REST_API_TOKEN",
    "OAUTH_STATE",
    "PUBLIC_URL",
    "UPSTASH_REDIS_REST_TOKEN",
}
"""The variables that a secret may set.

All except those that choose the store (path, table, URL): another store has no grants.
"""

# Other names may be misplaced values, and are not quoted.
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def with_secret(environ: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the environment with the secret's variables. Raises SettingsError."""
    variables = _variables(text)
    both = [name for name in variables if environ.get(name, "").strip()]
    if both:
        raise SettingsError([f"set both in the environment and in the secret: {_quote(both)}"])
    return {**environ, **variables}


def _variables(text: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    # RecursionError: JSON that is nested a thousand deep.
    except (ValueError, RecursionError):
        raise SettingsError(["the secret is not JSON"]) from None
    if not isinstance(pairs, _Pairs):
        raise SettingsError(["the secret is not a JSON object"])
    names = [name for name, _ in pairs]
    found_texts = ((name, _text_of(name, value)) for name, value in pairs)
    texts = {name: text for name, text in found_texts if text is not None}
    faults = {
        "not allowed in the secret": [name for name in names if name not in VARIABLES],
        "repeated in the secret": [name for name in names if names.count(name) > 1],
        "not a string in the secret": [name for name in names if name not in texts],
    }
    found = [f"{fault}: {_quote(named)}" for fault, named in faults.items() if named]
    if found:
        raise SettingsError(found)
    return texts


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, repeated ones included."""


# They are JSON, which nobody has to write as text within JSON.
_JSON: Mapping[str, type] = {"ALERTS": list, "CLIENTS": _Pairs}


def _text_of(name: str, value: object) -> str | None:
    """Return the value of a variable as text; None if it has another type."""
    if isinstance(value, str):
        return value
    # Not isinstance: an object is a kind of list here.
    if type(value) is not _JSON.get(name):
        return None
    try:
        return _to_json(value)
    except RecursionError:
        return None


def _to_json(value: object) -> str:
    """Write JSON as it was read. A repeated member is a fault of its client, and is not lost."""
    if isinstance(value, _Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{_to_json(each)}" for name, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_to_json, value)) + "]"
    return json.dumps(value)


def _quote(names: list[str]) -> str:
    known = sorted({name for name in names if _NAME.fullmatch(name)})
    others = len({name for name in names if not _NAME.fullmatch(name)})
    return ", ".join(known + ([f"{others} that cannot be variable names"] if others else []))
