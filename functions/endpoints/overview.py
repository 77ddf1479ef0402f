"""The connections that an API key may see, in pages, each with its status.

A page follows the names: it begins after a name, and ends before the next page's. Within the page
the connections that need a person come first.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from domain.connection import accounts_pattern, client_part, has_account
from domain.grant import (
    AuthorizationRequired,
    Unauthorized,
    is_over,
    tokens_of,
)
from functions.endpoints.connection_members import connection_members
from functions.observability.tracing import waiting_for
from functions.settings.api_keys import ApiKey
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.store import LARGEST_PAGE, Record, Store, UnreadableRecordError

MOST_RECORDS = 1000
"""The most records that one page reads, and so its largest limit."""

UNREADABLE = "unreadable"
"""The state of a connection whose stored record cannot be read."""
NOT_CONFIGURED = "not-configured"
"""The state of a connection whose client is unknown, or has invalid settings."""
_RECORD_UNREADABLE = "record-unreadable"
_UNKNOWN_CLIENT = "unknown-client"
LISTED_FAULTS = (_RECORD_UNREADABLE, NOT_CONFIGURED, _UNKNOWN_CLIENT)
"""The causes of connections in these states."""

_NEVER = datetime.max.replace(tzinfo=UTC)

_Found: TypeAlias = Record | UnreadableRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One connection.

    - `client`: the client's name; None for the unnamed one, and if there is none.
    - `provider`: the provider's name, such as `digikey`; None if the client cannot be used.
    - `record`: None if it cannot be read.
    - `members`: as `GET /api/verify` returns them. Without a record or a usable client: `state`
      (`unreadable`, `not-configured`), `action_required`, `cause` and `fault`.
    """

    connection: str
    client: str | None
    provider: str | None
    record: Record | None = field(repr=False)
    members: Mapping[str, object]

    @property
    def state(self) -> str:
        """The state, as in `GET /api/verify`."""
        return str(self.members["state"])

    @property
    def needs_action(self) -> bool:
        """Whether a person must act."""
        return bool(self.members["action_required"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A page of connections, the most urgent first.

    `next`: the `after` of the next page. None: this is the last page.
    """

    rows: tuple[Row, ...]
    next: str | None


async def read_page(
    wiring: Wiring,
    key: ApiKey,
    *,
    after: str | None = None,
    limit: int = LARGEST_PAGE,
    matches: Callable[[Row], bool] = lambda _row: True,
) -> Overview:
    """Return the next connections in name order that the key may see and that match.

    `after`: a name; None for the first page. `limit`: 1 to `MOST_RECORDS`. A page reads at most
    `MOST_RECORDS` records. So it can have fewer matches than the limit, and a `next`.

    Raises StoreUnavailableError.
    """
    walk = _Walk(store=wiring.store, key=key, page_size=min(limit, LARGEST_PAGE))
    rows: list[Row] = []
    read = 0
    async for chunk in walk.chunks(after):
        now = wiring.clock.now()
        for number, (connection, found) in enumerate(chunk.records, start=1):
            row = _row(wiring, connection, found, now)
            if matches(row):
                rows.append(row)
            is_last = chunk.is_last and number == len(chunk.records)
            if len(rows) == limit and not is_last:
                return _overview(rows, connection)
        read += len(chunk.records)
        if read >= MOST_RECORDS and not chunk.is_last:
            return _overview(rows, chunk.covered)
    return _overview(rows, None)


def _overview(rows: list[Row], next_after: str | None) -> Overview:
    return Overview(rows=tuple(sorted(rows, key=_urgency)), next=next_after)


class _Chunk(NamedTuple):
    """Some records in name order. The names up to `covered` have been read."""

    records: Sequence[tuple[str, _Found]]
    covered: str | None
    is_last: bool


class _Span(NamedTuple):
    """A name, or with `is_prefix` all names that begin with it."""

    name: str
    is_prefix: bool

    def reaches_past(self, after: str | None) -> bool:
        """Whether a name of the span may come after another name."""
        is_within = self.is_prefix and after is not None and after.startswith(self.name)
        return after is None or self.name > after or is_within


def _spans(key: ApiKey) -> list[_Span]:
    """Return what a key may see, in name order and without overlaps."""
    if key.connections is None:
        return [_Span("", is_prefix=True)]
    wide = {name for name in key.connections if name == accounts_pattern(client_part(name))}
    spans = [_Span(name.removesuffix("*"), is_prefix=True) for name in wide]
    spans += [
        _Span(name, is_prefix=False)
        for name in key.connections - wide
        if not (has_account(name) and accounts_pattern(client_part(name)) in wide)
    ]
    return sorted(spans)


class _Walk:
    """Reads the records that a key may see, in name order."""

    def __init__(self, *, store: Store, key: ApiKey, page_size: int) -> None:
        self._store = store
        self._spans = _spans(key)
        self._page_size = page_size

    async def chunks(self, after: str | None) -> AsyncIterator[_Chunk]:
        """Yield the records after a name. Raises StoreUnavailableError."""
        spans = [span for span in self._spans if span.reaches_past(after)]
        while spans:
            if spans[0].is_prefix:
                prefix = spans.pop(0).name
                async for chunk in self._range(prefix, after):
                    after = chunk.covered
                    yield chunk._replace(is_last=chunk.is_last and not spans)
            else:
                names = _leading_names(spans)
                with waiting_for("store"):
                    page = await self._store.load_records(names)
                after = page.next or names[-1]
                del spans[: names.index(after) + 1]
                yield _Chunk(page.records, after, is_last=not spans)

    async def _range(self, prefix: str, after: str | None) -> AsyncIterator[_Chunk]:
        while True:
            with waiting_for("store"):
                page = await self._store.list_records(after, limit=self._page_size, prefix=prefix)
            if page.records:
                after = page.records[-1][0]
            after = page.next or after
            yield _Chunk(page.records, after, is_last=page.next is None)
            if page.next is None:
                return


def _leading_names(spans: Sequence[_Span]) -> list[str]:
    leading = takewhile(lambda span: not span.is_prefix, spans[:LARGEST_PAGE])
    return [span.name for span in leading]


def _row(wiring: Wiring, connection: str, found: _Found, now: datetime) -> Row:
    name = provider = None
    record = None if isinstance(found, UnreadableRecordError) else found
    try:
        name = wiring.settings.clients.name_for(connection)
        data = wiring.client(name).client.provider
        provider = data.name
        if isinstance(found, UnreadableRecordError):
            members = _fault(UNREADABLE, _RECORD_UNREADABLE, f"{found}")
        else:
            members = connection_members(found.grant, data, now)
    except UnknownClientError as error:
        members = _fault(NOT_CONFIGURED, _UNKNOWN_CLIENT, f"{error}")
    except SettingsError as error:
        members = _fault(NOT_CONFIGURED, NOT_CONFIGURED, f"{error}")
    return Row(
        connection=connection, client=name, provider=provider, record=record, members=members
    )


def _fault(state: str, cause: str, text: str) -> dict[str, object]:
    return {"state": state, "action_required": True, "cause": cause, "fault": text}


def _urgency(row: Row) -> tuple[int, datetime, str]:
    """Return the order of a row: by its rank, then by the first expiry that concerns a login."""
    return _rank(row), _login_end(row), row.connection


def _rank(row: Row) -> int:
    """Return 0 if a person must act, 1 if refreshes fail, 2 if it works, 3 and 4 if unused."""
    grant = None if row.record is None else row.record.grant
    if grant is not None and is_over(grant):
        return 4
    if isinstance(grant, Unauthorized) and grant.failure_state is None:
        # Nobody has used it yet.
        return 3
    if row.needs_action:
        return 0
    return 1 if row.members.get("next_try_at") is not None else 2


def _login_end(row: Row) -> datetime:
    """Return since or from when a login is required; a date that never comes if unknown."""
    grant = None if row.record is None else row.record.grant
    if isinstance(grant, AuthorizationRequired):
        return grant.since
    tokens = None if grant is None else tokens_of(grant)
    if tokens is None:
        return _NEVER
    if not tokens.is_replaceable:
        return tokens.expires_at or _NEVER
    ends = (tokens.refresh_token_expires_at, tokens.login_expires_at)
    return min((at for at in ends if at is not None), default=_NEVER)
