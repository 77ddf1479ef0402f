"""The alerts of a deployment: where they are sent, and when time alone owes one.

`ALERTS` is a JSON array of channels. `kind` decides which other members an entry has. `events` and
`connections` restrict it, and `name` is its name in logs, histories and pages (default: the kind):

    [{"kind": "slack", "url_env": "SLACK_URL"},
     {"kind": "smtp", "name": "owner", "host": "smtp.example.com", "from": "keeper@example.com",
      "to": ["ada@example.com"], "events": ["connection.login-needed"],
      "connections": ["google:*"]}]

`ALERT_WEBHOOK_URL` and `ALERT_WEBHOOK_SECRET` are one channel of the kind `webhook`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.alerts import AlertKind, AlertThresholds
from domain.connection import accounts_pattern, client_part, has_account
from functions.settings.alert_kinds import KINDS, PROGRAM_KIND
from functions.settings.alert_members import HOW_TO_MAKE, Members, are_webhook_secrets
from functions.settings.alert_targets import Target, WebhookTarget
from functions.settings.alert_thresholds import read_thresholds
from functions.settings.api_keys import EntryError, is_key_name, read_connections, read_entries
from functions.settings.environment import LAYOUT, EnvReader

ALERTS = "ALERTS"
WEBHOOK_URL = "ALERT_WEBHOOK_URL"
WEBHOOK_SECRET = "ALERT_WEBHOOK_SECRET"

_COMMON = ("kind", "name", "events", "connections")
_LIKE = '{"kind": "slack", "url": …}'
_WEBHOOK = "webhook"
_EVENTS = {kind.value: kind for kind in AlertKind}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One channel. `events` and `connections` are None for all."""

    name: str
    target: Target
    events: frozenset[AlertKind] | None = None
    connections: frozenset[str] | None = None

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        """Whether an alert of this kind and connection is sent here.

        A channel for some connections gets alerts of the deployment itself only if `events` names
        them. Every channel takes a test.
        """
        if kind is AlertKind.TEST:
            return True
        if self.events is not None and kind not in self.events:
            return False
        if self.connections is None:
            return True
        if connection is None:
            return self.events is not None
        pattern = accounts_pattern(client_part(connection))
        is_account = has_account(connection) and pattern in self.connections
        return connection in self.connections or is_account


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """The channels, at least one, and the thresholds."""

    channels: tuple[ChannelSettings, ...]
    thresholds: AlertThresholds


def read_alerts(
    env: EnvReader, environ: Mapping[str, str], *, allows_programs: bool
) -> AlertSettings | None:
    """Read the variables of alerts, and add their faults. Return None without a channel.

    `environ` has the variables that entries refer to. `allows_programs`: whether a channel may run
    a program on this machine.
    """
    channels = [*_webhook_of(env), *_channels_of(env, environ, allows_programs=allows_programs)]
    env.faults += _find_repeated_names(channels)
    thresholds = read_thresholds(env)
    if not channels:
        return None
    return AlertSettings(channels=tuple(channels), thresholds=thresholds)


def _webhook_of(env: EnvReader) -> Iterator[ChannelSettings]:
    faults = len(env.faults)
    url = env.url(WEBHOOK_URL)
    secret = env.optional(WEBHOOK_SECRET)
    if secret is not None and not are_webhook_secrets(secret):
        env.faults.append(
            f"{WEBHOOK_SECRET} must be whsec_ and 24 to 64 bytes in base64, several separated by "
            f"spaces: {HOW_TO_MAKE}"
        )
    if url is None and secret is not None:
        env.faults.append(f"{WEBHOOK_SECRET} is set, and {WEBHOOK_URL} is not")
    if url is not None and secret is None:
        env.faults.append(f"{WEBHOOK_SECRET} is required: {HOW_TO_MAKE}")
    if url is not None and secret is not None and len(env.faults) == faults:
        target = WebhookTarget(url=url, secrets=tuple(secret.split()))
        yield ChannelSettings(name=_WEBHOOK, target=target)


def _channels_of(
    env: EnvReader, environ: Mapping[str, str], *, allows_programs: bool
) -> Iterator[ChannelSettings]:
    text = env.optional(ALERTS, invisible=LAYOUT)
    if text is None:
        return iter(())

    def read(entry: Mapping[str, object]) -> ChannelSettings:
        return _channel(entry, environ, allows_programs=allows_programs)

    return read_entries(ALERTS, text, read, env.faults, like=_LIKE)


def _channel(
    entry: Mapping[str, object], environ: Mapping[str, str], *, allows_programs: bool
) -> ChannelSettings:
    name = entry.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        raise EntryError(f"kind must be one of {', '.join(KINDS)}")
    if not entry.keys() <= {*_COMMON, *kind.all_members}:
        members = ", ".join([*_COMMON, *kind.all_members])
        raise EntryError(f"it has an unknown member; the members of {name} are {members}")
    if name == PROGRAM_KIND and not allows_programs:
        raise EntryError(
            "only `make run` starts programs. Use another kind here: a server has no person in "
            "front of it, and a function's machine is gone after its answer"
        )
    return ChannelSettings(
        name=_name(entry, name),
        target=kind.read(Members(entry, environ)),
        events=_events(entry),
        connections=read_connections(entry),
    )


def _name(entry: Mapping[str, object], kind: str) -> str:
    value = entry.get("name", kind)
    if not isinstance(value, str) or not is_key_name(value):
        raise EntryError("name must be up to 64 letters, digits and . _ -")
    return value


def _events(entry: Mapping[str, object]) -> frozenset[AlertKind] | None:
    if "events" not in entry:
        return None
    values = entry["events"]
    given = values if isinstance(values, list) else []
    found = [_EVENTS[value] for value in given if isinstance(value, str) and value in _EVENTS]
    if not given or len(found) < len(given):
        known = ", ".join(_EVENTS)
        raise EntryError(f"events must be a list of some of {known}; leave it out for all")
    return frozenset(found)


def _find_repeated_names(channels: list[ChannelSettings]) -> Iterator[str]:
    for name, number in Counter(channel.name for channel in channels).items():
        if number > 1:
            also = f" (one of them is that of {WEBHOOK_URL})" if name == _WEBHOOK else ""
            yield f"{ALERTS} has {number} channels named {name!r}{also}: give each a name"
