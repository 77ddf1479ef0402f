"""Checks the records: their keys, their refreshes, and which need a login."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.grant import (
    Adopting,
    Authorized,
    Failure,
    Grant,
    Moved,
    Unauthorized,
    due_at,
    grant_type_of,
    tokens_of,
)
from domain.provider import GrantType
from domain.questions import missing_authorization
from functions.admin.command import map_concurrently, stored_connections
from functions.admin.doctor.findings import Finding, count_and_names, fault, ok, unknown, warning
from functions.admin.doctor.wiring import store_by_first_key
from functions.http.instants import rfc3339
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.store import Store, UnreadableRecordError

# A daily sweep that failed once.
_OVERDUE_LIMIT = timedelta(days=2)
# Long enough to log in on a working day.
_LOGIN_ENDS_SOON = timedelta(days=3)
# A large store is checked in part, to end in time.
_CHECK_LIMIT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRecord:
    """One record: its grant, None if no key decrypts it, and whether the first key did."""

    grant: Grant | None
    by_first_key: bool = True


@dataclass(slots=True)
class RecordsSummary:
    """The names of connections by finding; `since` is the start of the check.

    `grant_type_of` returns a connection's grant type by the settings. `has_logins`: whether a
    client has logins.
    """

    since: datetime
    grant_type_of: Callable[[str], GrantType] = lambda _: GrantType.AUTHORIZATION_CODE
    has_logins: bool = True
    number: int = 0
    unreadable: list[str] = field(default_factory=list)
    by_older_key: list[str] = field(default_factory=list)
    without_login: dict[str, str] = field(default_factory=dict)
    failing: dict[str, Failure] = field(default_factory=dict)
    overdue: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    with_login: list[str] = field(default_factory=list)
    ending: dict[str, datetime] = field(default_factory=dict)

    def add(self, name: str, check: CheckedRecord) -> None:
        """Add one record."""
        self.number += 1
        if check.grant is None:
            self.unreadable.append(name)
            return
        if not check.by_first_key:
            self.by_older_key.append(name)
        if (
            cause := missing_authorization(check.grant, self.since, self.grant_type_of(name))
        ) is not None:
            self.without_login[name] = cause.value
            return
        self._add_working(name, check.grant)

    def _add_working(self, name: str, grant: Grant) -> None:
        if isinstance(grant, Moved):
            self.moved.append(name)
        elif grant_type_of(grant) not in {None, self.grant_type_of(name)}:
            self.with_login.append(name)
        tried = grant.grant if isinstance(grant, Adopting) else grant
        failure_state = (
            tried.failure_state if isinstance(tried, Authorized | Unauthorized) else None
        )
        if failure_state is not None:
            self.failing[name] = failure_state.failure
        tokens = tokens_of(grant)
        end = None if tokens is None else tokens.login_end
        if end is not None and end <= self.since + _LOGIN_ENDS_SOON:
            self.ending[name] = end
        due, limit = due_at(grant), self.since - _OVERDUE_LIMIT
        is_tried = failure_state is not None and failure_state.at > limit
        if due is not None and due <= limit and not is_tried:
            self.overdue.append(name)


async def check_grants(wiring: Wiring) -> AsyncGenerator[Finding, None]:
    """Check every record, as time allows. Raises StoreUnavailableError."""
    first = store_by_first_key(wiring.settings)

    async def check(connection: str) -> CheckedRecord:
        return await _check_record(connection, first=first, all_keys=wiring.store)

    def type_of(connection: str) -> GrantType:
        try:
            return wiring.client_of(connection).keeper.grant_type
        except (SettingsError, UnknownClientError):
            return GrantType.AUTHORIZATION_CODE

    summary = RecordsSummary(
        wiring.clock.now(),
        grant_type_of=type_of,
        has_logins=any(
            client.keeper.grant_type is GrantType.AUTHORIZATION_CODE
            for client in wiring.usable_clients()
        ),
    )
    is_complete = True
    try:
        async with aclosing(map_concurrently(stored_connections(wiring), check)) as checked:
            async for name, found in checked:
                summary.add(name, found)
                if wiring.clock.now() - summary.since > _CHECK_LIMIT:
                    is_complete = False
                    break
    finally:
        await first.close()
    if not is_complete:
        yield unknown("connections", f"only the first {summary.number} were checked in time")
    # The sweep's query, which no other request makes.
    await wiring.store.due(None, summary.since, limit=1)
    for finding in findings_of(summary):
        yield finding


async def _check_record(connection: str, *, first: Store, all_keys: Store) -> CheckedRecord:
    try:
        return CheckedRecord(grant=(await first.load(connection)).grant)
    except UnreadableRecordError:
        pass
    try:
        return CheckedRecord(grant=(await all_keys.load(connection)).grant, by_first_key=False)
    except UnreadableRecordError:
        return CheckedRecord(grant=None)


def findings_of(summary: RecordsSummary) -> Iterator[Finding]:
    """Report the findings of the records."""
    yield from _findings_of_keys(summary)
    yield from _findings_of_logins(summary)
    yield from _findings_of_refreshes(summary)


def _findings_of_keys(summary: RecordsSummary) -> Iterator[Finding]:
    if summary.unreadable:
        yield fault(
            "encryption",
            f"no key decrypts the records of {_names(summary.unreadable)}: restore the "
            "CLIENT_SECRET or ENCRYPTION_KEYS that encrypted them, or log in again",
        )
    if summary.by_older_key:
        yield warning(
            "encryption",
            f"an older key encrypted the records of {_names(summary.by_older_key)}: keep it until "
            "`python -m functions.admin reseal` is done",
        )
    if summary.number and not summary.unreadable and not summary.by_older_key:
        yield ok("encryption", f"the first key decrypts all records: {summary.number}")


def _findings_of_logins(summary: RecordsSummary) -> Iterator[Finding]:
    if not summary.has_logins:
        yield from _findings_without_logins(summary)
        return
    if not summary.number:
        yield warning(
            "connections", "nobody has logged in yet: use POST /api/login with an API key"
        )
    if summary.without_login:
        causes = [f"{name}: {cause}" for name, cause in summary.without_login.items()]
        yield warning(
            "connections",
            f"login required for {count_and_names(causes, len(causes))}: use POST "
            "/api/login?connection=NAME with an API key",
        )
    if summary.ending:
        ends = [f"{name}: {rfc3339(end)}" for name, end in summary.ending.items()]
        yield warning(
            "connections",
            f"the login ends soon, and no refresh extends it, for {_names(ends)}: log in again "
            "before that",
        )
    yield from _findings_of_moves(summary)
    if summary.number and not summary.without_login and not summary.unreadable:
        yield ok("connections", f"no login required: {summary.number}")


def _findings_without_logins(summary: RecordsSummary) -> Iterator[Finding]:
    yield from _findings_of_moves(summary)
    if summary.with_login:
        yield warning(
            "connections",
            f"a login is in use for {_names(summary.with_login)}, although GRANT is "
            "client_credentials: POST /api/revoke?connection=NAME ends it",
        )
    if not summary.unreadable and not summary.with_login:
        yield ok("connections", f"client credentials need no login: {summary.number}")


def _findings_of_moves(summary: RecordsSummary) -> Iterator[Finding]:
    if summary.moved:
        yield warning(
            "connections",
            f"handed over to another deployment: {_names(summary.moved)}; use that one",
        )


def _findings_of_refreshes(summary: RecordsSummary) -> Iterator[Finding]:
    for failure in Failure:
        names = [name for name, found in summary.failing.items() if found is failure]
        if names and failure is Failure.MISCONFIGURED:
            yield fault(
                "refreshes",
                f"the provider refuses the client of {_names(names)}: compare CLIENT_ID, "
                "CLIENT_SECRET and PROVIDER with the registration there",
            )
        elif names:
            yield warning(
                "refreshes",
                f"the last one failed ({failure.value}) for {_names(names)}: see the next try in "
                "GET /api/verify",
            )
    if summary.overdue:
        yield fault(
            "sweep",
            f"{_names(summary.overdue)} is overdue for two days, and the login will expire: "
            "schedule a daily GET /api/sweep with the CRON_SECRET",
        )
    elif summary.number:
        yield ok("sweep", "no connection is overdue")


def _names(names: list[str]) -> str:
    return count_and_names(names, len(names))
