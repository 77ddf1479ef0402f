"""The state of a connection, as `GET /api/verify` returns it, for people and programs."""

from __future__ import annotations

from oauth_callback.errors import LoginNeeded
from oauth_callback.keeper import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oauth_callback.keeper import Keeper, KeeperAnswer

DEFAULT_CONNECTION = "default"
_MOVED = "connection-moved"
# Members of the problem document. `login` has a login link, which is for one person.
_OF_PROBLEMS = frozenset({"type", "title", "status", "detail", "instance", "login"})


class State:
    """The members of a connection. `error` is why no program gets a token, else None."""

    __slots__ = ("connection", "error", "members")

    def __init__(
        self, connection: str, members: Mapping[str, object], error: Exception | None
    ) -> None:
        self.connection = connection
        self.members = members
        self.error = error

    @property
    def is_usable(self) -> bool:
        """Whether programs get tokens."""
        return self.error is None

    @property
    def needs_login(self) -> bool:
        """Whether a person has to log in."""
        return isinstance(self.error, LoginNeeded)

    def as_members(self) -> dict[str, object]:
        """Return the members for a program, without secrets."""
        shown = {k: v for k, v in self.members.items() if k not in _OF_PROBLEMS}
        detail = {} if self.error is None else {"detail": str(self.error)}
        return {"connection": self.connection, **shown, **detail}

    def row(self) -> list[str]:
        """Return the cells of the table."""
        members = self.members
        return [
            self.connection,
            _cell(members.get("state")),
            _cell(members.get("access_token_expires_at")),
            _cell(members.get("refresh_token_days_left")),
            _cell(members.get("cause") if members.get("action_required") else None),
        ]


COLUMNS = ["CONNECTION", "STATE", "TOKEN EXPIRES", "LOGIN DAYS LEFT", "ACTION REQUIRED"]


def read_state(keeper: Keeper, connection: str | None) -> State:
    """Return the state. Raises KeeperError if there is none."""
    answer = keeper.ask("GET", "/api/verify", {"connection": connection})
    return state_of(answer, connection)


def state_of(answer: KeeperAnswer, connection: str | None) -> State:
    """Return the state in an answer of `GET /api/verify`. Raises KeeperError."""
    name = DEFAULT_CONNECTION if connection is None else connection
    if answer.is_success:
        return State(name, answer.members, None)
    error = error_of(answer, connection=connection)
    if isinstance(error, LoginNeeded) or answer.problem == _MOVED:
        return State(name, answer.members, error)
    raise error


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text, with columns of equal width."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _cell(value: object) -> str:
    from oauth_callback.errors import printable

    return "-" if value is None else printable(value)
