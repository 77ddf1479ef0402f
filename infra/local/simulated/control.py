"""The settings of a running simulated provider, and the faults to plan."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias, assert_never

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)

from functions.settings.presets import load, unknown_preset
from infra.local.simulated.lifetimes import Lifetimes

# Ten years: far past anything sensible, and still exact to a microsecond.
MAX_SECONDS = 10 * 365 * 24 * 3600
MAX_DELAY_SECONDS = 600.0

STATISTICS = ("authorization_code", "refresh_token", "client_credentials", "refused")
NEVER_EXPIRES = "never"
"""The lifetime of what does not expire, in a change."""


class Fault(StrEnum):
    """A fault of one token request."""

    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate-limited"
    LOSE_REQUEST = "lose-request"
    LOSE_ANSWER = "lose-answer"
    HTML = "html"
    EMPTY_400 = "empty-400"


@dataclass(frozen=True, slots=True)
class Delay:
    """A late response: the request takes effect at once."""

    seconds: float


PlannedFault: TypeAlias = Fault | Delay


def parse_fault(name: object) -> PlannedFault:
    """Read a fault's name: one of `Fault`, or `delay:SECONDS`.

    Raises ValueError.
    """
    kind, _, seconds = str(name).partition(":")
    if kind != "delay":
        try:
            return Fault(str(name))
        except ValueError:
            known = ", ".join(Fault)
            raise ValueError(f"not one of {known}, delay:SECONDS") from None
    try:
        delay = Delay(float(seconds))
    except ValueError:
        raise ValueError("delay:SECONDS needs a number") from None
    if not 0 <= delay.seconds <= MAX_DELAY_SECONDS:
        raise ValueError(f"a delay is between 0 and {MAX_DELAY_SECONDS:g} seconds")
    return delay


def fault_name(fault: PlannedFault) -> str:
    """Return the name that plans the fault."""
    match fault:
        case Delay():
            return f"delay:{fault.seconds:g}"
        case Fault():
            return fault.value
        case _:
            assert_never(fault)


Seconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
SecondsOrNever: TypeAlias = Seconds | Literal["never"]
Shift: TypeAlias = Annotated[float, Field(ge=-MAX_SECONDS, le=MAX_SECONDS, allow_inf_nan=False)]


class InvalidChangeError(Exception):
    """The change is invalid, and nothing was changed. The message names the member."""


def _require_preset(name: str) -> str:
    if load(name) is None:
        raise ValueError(f"{name!r} {unknown_preset(name)}")
    return name


class LifetimesChange(BaseModel):
    """Lifetimes in seconds for new codes and tokens. None keeps the present one.

    Those of tokens may also be `never`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Seconds | None = None
    access_token: SecondsOrNever | None = None
    refresh_token: SecondsOrNever | None = None
    client_credentials: SecondsOrNever | None = None


class Change(BaseModel):
    """One atomic change of the settings.

    - `preset`: the name of the preset to play. Its lifetimes apply, unless changed here, too.
    - `revoke_grants`: ends all logins, as a person does in the settings of an account.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Annotated[str, AfterValidator(_require_preset)] | None = None
    revoke_grants: bool = False
    lifetimes: LifetimesChange = LifetimesChange()
    clear_faults: bool = False
    faults: tuple[Annotated[PlannedFault, PlainValidator(parse_fault)], ...] = ()
    reset_statistics: bool = False
    shift_clock: Shift = 0.0

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read a JSON object.

        Raises InvalidChangeError.
        """
        try:
            return cls.model_validate_json(body, strict=True)
        except ValidationError as error:
            raise InvalidChangeError(_describe_errors(error)) from error

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Read a form of the front page: lifetimes, a fault, a preset, or the end of all logins.

        Raises InvalidChangeError.
        """
        members = dict(form)
        fault = members.pop("fault", None)
        others = {
            name: members.pop(name) for name in ("preset", "revoke_grants") if name in members
        }
        try:
            return cls.model_validate(
                {"lifetimes": members, "faults": (fault,) if fault is not None else (), **others}
            )
        except ValidationError as error:
            raise InvalidChangeError(_describe_errors(error)) from error

    def apply_to(self, lifetimes: Lifetimes) -> Lifetimes:
        """Return the lifetimes after this change."""
        changed: dict[str, float | None] = {
            name: None if lifetime == NEVER_EXPIRES else lifetime
            for name, lifetime in self.lifetimes.model_dump(exclude_none=True).items()
        }
        return Lifetimes(**{**asdict(lifetimes), **changed})


def _describe_errors(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, problem["loc"])), problem["msg"])))
        for problem in error.errors(include_input=False, include_url=False)
    )


class Settings:
    """The planned faults, in the order of the token requests, and the counts."""

    def __init__(self) -> None:
        self._faults: deque[PlannedFault] = deque()
        self._counts: Counter[str] = Counter()

    def next_fault(self) -> PlannedFault | None:
        """Remove and return the fault of the present token request."""
        return self._faults.popleft() if self._faults else None

    def count(self, outcome: str) -> None:
        """Count a token request by its grant type, or as `refused`."""
        self._counts[outcome] += 1

    def change(self, change: Change) -> None:
        """Apply a change to faults and counts."""
        if change.clear_faults:
            self._faults.clear()
        self._faults.extend(change.faults)
        if change.reset_statistics:
            self._counts.clear()

    def planned_faults(self) -> list[str]:
        """Return the names of the planned faults."""
        return [fault_name(fault) for fault in self._faults]

    def statistics(self) -> dict[str, int]:
        """Return the numbers of granted token requests, by grant type, and of refused ones."""
        return {name: self._counts[name] for name in STATISTICS}
