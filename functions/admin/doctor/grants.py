"""What is kept: whether the keys open it, whether the sweep looks after it, who has to log in."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.grant import Authorized, Failure, Grant, Moved, due_at
from domain.questions import missing_authorization
from functions.admin.command import do_for_each
from functions.admin.doctor.findings import Finding, fault, listed, ok, unknown, warning
from functions.admin.doctor.wiring import store_by_newest_key
from functions.wiring import Wired
from ports.store import Store, UnreadableRecordError

# A sweep that runs once a day, and has failed to once.
_LONG_OVERDUE = timedelta(days=2)
# A large store is looked at in part: the doctor's other answers are waited for.
_TIME_TO_LOOK = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One record: its grant, None where no key opens it, and whether the newest key did."""

    grant: Grant | None
    by_newest_key: bool = True


@dataclass(slots=True)
class Census:
    """The names of connections, by what there is to say of them; `since` is when it began."""

    since: datetime
    number: int = 0
    unreadable: list[str] = field(default_factory=list)
    by_older_key: list[str] = field(default_factory=list)
    without_login: dict[str, str] = field(default_factory=dict)
    failing: dict[str, Failure] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    def add(self, name: str, look: Look) -> None:
        """Take down one more."""
        self.number += 1
        if look.grant is None:
            self.unreadable.append(name)
            return
        if not look.by_newest_key:
            self.by_older_key.append(name)
        if (cause := missing_authorization(look.grant, self.since)) is not None:
            self.without_login[name] = cause.value
            return
        self._add_working(name, look.grant)

    def _add_working(self, name: str, grant: Grant) -> None:
        if isinstance(grant, Moved):
            self.moved.append(name)
        setbacks = grant.setbacks if isinstance(grant, Authorized) else None
        if setbacks is not None:
            self.failing[name] = setbacks.failure
        due, limit = due_at(grant), self.since - _LONG_OVERDUE
        is_tried = setbacks is not None and setbacks.at > limit
        if due is not None and due <= limit and not is_tried:
            self.forgotten.append(name)


async def check_grants(wired: Wired) -> AsyncGenerator[Finding, None]:
    """Look at every record, as long as there is time. Raises StoreUnavailableError."""
    newest = store_by_newest_key(wired.settings)

    async def look(connection: str) -> Look:
        return await _look(connection, newest=newest, all_keys=wired.store)

    census, is_complete = Census(wired.clock.now()), True
    try:
        async with aclosing(do_for_each(wired.store.connections(), look)) as looks:
            async for name, found in looks:
                census.add(name, found)
                if wired.clock.now() - census.since > _TIME_TO_LOOK:
                    is_complete = False
                    break
    finally:
        await newest.close()
    if not is_complete:
        yield unknown("connections", f"there are more than the {census.number} looked at in time")
    # What the sweep asks for first, which no other request does.
    await wired.store.due(census.since, limit=1)
    for finding in judge(census):
        yield finding


async def _look(connection: str, *, newest: Store, all_keys: Store) -> Look:
    try:
        return Look(grant=(await newest.load(connection)).grant)
    except UnreadableRecordError:
        pass
    try:
        return Look(grant=(await all_keys.load(connection)).grant, by_newest_key=False)
    except UnreadableRecordError:
        return Look(grant=None)


def judge(census: Census) -> Iterator[Finding]:
    """Say what there is to say of what was counted."""
    yield from _judge_keys(census)
    yield from _judge_logins(census)
    yield from _judge_refreshes(census)


def _judge_keys(census: Census) -> Iterator[Finding]:
    if census.unreadable:
        yield fault(
            "encryption",
            f"no key opens the records of {_names(census.unreadable)}: put back the CLIENT_SECRET "
            "or the ENCRYPTION_KEYS that they were stored with, or log in anew",
        )
    if census.by_older_key:
        yield warning(
            "encryption",
            f"an older key has sealed the records of {_names(census.by_older_key)}: keep it until "
            "`python -m functions.admin reseal` has sealed them anew",
        )
    if census.number and not census.unreadable and not census.by_older_key:
        yield ok("encryption", f"the newest key opens all records: {census.number}")


def _judge_logins(census: Census) -> Iterator[Finding]:
    if not census.number:
        yield warning("connections", "nobody has logged in yet: POST /api/login with the API key")
    if census.without_login:
        said = [f"{name}: {cause}" for name, cause in census.without_login.items()]
        yield warning(
            "connections",
            f"somebody has to log in to {listed(said, len(said))}: POST /api/login with the API "
            "key and ?connection=NAME",
        )
    if census.moved:
        yield warning(
            "connections",
            f"handed over to another deployment: {_names(census.moved)}; ask there",
        )
    if census.number and not census.without_login and not census.unreadable:
        yield ok("connections", f"no login is needed: {census.number}")


def _judge_refreshes(census: Census) -> Iterator[Finding]:
    for failure in Failure:
        names = [name for name, found in census.failing.items() if found is failure]
        if names and failure is Failure.MISCONFIGURED:
            yield fault(
                "refreshes",
                f"the provider refuses the client of {_names(names)}: compare CLIENT_ID and "
                "CLIENT_SECRET, and PROVIDER, with what is registered there",
            )
        elif names:
            yield warning(
                "refreshes",
                f"the last one failed ({failure.value}) of {_names(names)}; GET /api/verify says "
                "when it is tried again",
            )
    if census.forgotten:
        yield fault(
            "sweep",
            f"nobody has looked after {_names(census.forgotten)} for two days, and their logins "
            "will die: let something ask once a day for GET /api/sweep with the CRON_SECRET",
        )
    elif census.number:
        yield ok("sweep", "nothing is overdue")


def _names(names: list[str]) -> str:
    return listed(names, len(names))
