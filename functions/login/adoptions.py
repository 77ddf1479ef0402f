"""Adopts tokens that another program got: rules 16 and 17 of `decide.py`."""

import logging
from collections.abc import Callable
from typing import assert_never

from domain.adopting import Obstacle, has_adopted, is_current, obstacle
from domain.authorization import fingerprint
from domain.commands import NothingDue, ReportMoved, Serve
from domain.events import TokensAdopted
from domain.grant import Adopting, Failure, Moved
from domain.ledger import TOKENS_OF_ANOTHER_ACCOUNT, Entry, HistoryEvent, Ledger
from domain.policy import Policy
from domain.provider import GrantType
from functions.http.problems import ProblemError, problem
from functions.login.adopted_body import AdoptedBody
from functions.login.login_texts import client_needs_no_login
from functions.refresh.keeper import Keeper, QuestionResult
from functions.refresh.recorder import Recorder
from ports.clock import Clock
from ports.store import Record

STOP_USING = (
    "The tokens are adopted. Stop the other program from using its copy: a refresh there may end "
    "this connection."
)
"""The advice after an adoption."""

_REPLACE = "to replace it, send replace=true"
_IN_USE = f"This connection works, and its grant stays. The token was not used; {_REPLACE}."
_OTHER_ACCOUNT = f"The token is of a different account. The earlier grant stays; {_REPLACE}."
_REPLACED = (
    "A login or a revocation came meanwhile, and the token was not adopted. Send the request again "
    "if it is still wanted."
)
_KEPT = "Nothing was adopted, and the earlier grant stays."
# In seconds. A refresh usually ends long before its lease.
_RETRY_AFTER = 5
_REFRESHES = frozenset({HistoryEvent.REFRESH, HistoryEvent.REFRESH_FAILED})

_log = logging.getLogger(__name__)


class Adoptions:
    """Stores a refresh token from elsewhere, and proves it by one refresh."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        recorder: Recorder,
        clock: Clock,
        policy: Policy,
        subject_of: Callable[[str], str | None],
    ) -> None:
        """`subject_of` returns the fingerprint of an ID token's account; None if it has none."""
        self._keeper = keeper
        self._recorder = recorder
        self._clock = clock
        self._policy = policy
        self._subject_of = subject_of

    async def adopt(self, connection: str, body: AdoptedBody, *, replaces: bool) -> QuestionResult:
        """Store the token, refresh it once, and return the result; `Serve` is success.

        The earlier grant stays until the refresh succeeds. The same token again continues an
        interrupted adoption, or returns the tokens that came from it.

        Raises ProblemError, StoreUnavailableError, UnreadableRecordError.
        """
        if self._keeper.grant_type is GrantType.CLIENT_CREDENTIALS:
            raise client_needs_no_login()
        adopted = self._event(body, replaces=replaces)
        record = await self._recorder.keep(connection, await self._keeper.load(connection), adopted)
        if isinstance(moved := record.grant, Moved):
            answer = ReportMoved(since=moved.since)
            return QuestionResult(answer=answer, before=moved, after=moved)
        if not has_adopted(record.grant, adopted):
            raise self._refusal_here(record, adopted)
        if is_current(record.grant, adopted):
            return await self._keeper.refresh(connection)
        result = await self._keeper.prove(connection, adopted.fingerprint)
        if isinstance(result.answer, NothingDue):
            # Tokens that were proven before can only have been replaced.
            before = record.ledger if isinstance(record.grant, Adopting) else None
            raise _refusal((await self._keeper.load(connection)).ledger, before)
        if isinstance(result.answer, Serve):
            _log.info("connection %s: tokens of another program are adopted", connection)
        return result

    def _event(self, body: AdoptedBody, *, replaces: bool) -> TokensAdopted:
        return TokensAdopted(
            refresh_token=body.refresh_token,
            fingerprint=fingerprint(body.refresh_token),
            scope=body.scope,
            subject=None if body.id_token is None else self._subject_of(body.id_token),
            replaces=replaces,
        )

    def _refusal_here(self, record: Record, adopted: TokensAdopted) -> ProblemError:
        """Return why the token was not stored."""
        match obstacle(record.grant, adopted, self._policy, self._clock.now()):
            case Obstacle.OTHER_ACCOUNT:
                return problem("other-account", _OTHER_ACCOUNT)
            case Obstacle.IN_USE:
                return problem("connection-in-use", _IN_USE)
            case Obstacle.IN_FLIGHT | Obstacle.MOVED | None:
                # It ended between the two instants.
                detail = f"A refresh is in progress. Retry in {_RETRY_AFTER} s."
                return problem("refresh-in-progress", detail, retry_after=_RETRY_AFTER)
            case never:
                assert_never(never)


def _refusal(ledger: Ledger, before: Ledger | None) -> ProblemError:
    """Return why the refresh did not prove the token: the first event after its adoption.

    `before` is the ledger with the adoption; None if it had succeeded. Another adoption may have
    followed.
    """
    if before is None:
        return problem("connection-in-use", _REPLACED)
    events = [entry for entry in ledger if entry.event not in _REFRESHES]
    adopted = next((each for each in reversed(before) if each.event is HistoryEvent.ADOPTED), None)
    # Entries of one second may be equal.
    places = [place for place, entry in enumerate(events, 1) if entry == adopted]
    number = before.count(adopted) if adopted else 0
    # Of many events, the adoption is not in the ledger any more.
    later = events[places[number - 1] :] if 0 < number <= len(places) else events[-1:]
    match later:
        case [Entry(event=HistoryEvent.ADOPTION_REFUSED) as entry, *_]:
            return _refusal_of(entry)
        case _:
            return problem("connection-in-use", _REPLACED)


def _refusal_of(entry: Entry) -> ProblemError:
    said = "" if entry.quote is None else f" ({entry.quote})"
    match entry.outcome:
        case Failure.MISCONFIGURED.value:
            what = "The provider refuses this client or its request"
            return problem("client-refused", f"{what}{said}. {_KEPT}")
        case Failure.UNEXPLAINED.value:
            what = "The provider refused to refresh the token"
            return problem("refused-without-reason", f"{what}{said}. {_KEPT}")
        case outcome if outcome == TOKENS_OF_ANOTHER_ACCOUNT:
            what = "The token is of a different account, as the refresh showed"
            return problem("other-account", f"{what}. {_KEPT}")
        case _:
            what = "The provider refused the refresh token"
            return problem("adoption-refused", f"{what}{said}. {_KEPT}")
