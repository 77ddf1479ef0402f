"""Every transition of a grant, by the rules of refresh: questions are decided, events applied.

Each group of rules is a module. A question (`TokenRequested`, `RefreshRequested`, `RefreshDue`) is
taken through three steps (`questions.py`):
 1. *Need.* An access token is served if it outlives what the caller demands. Near its end, or when
    the refresh token is due, it is still served, while one attempt replaces it; where a refresh
    ends the old token, or a request of unknown outcome may have, the refresh comes as late as
    possible instead, and the sweep spares a token that lives. Who asks for a refresh gets one, or
    the one that has just been made.
 2. *Obstacle.* At most one attempt is in flight: others wait. After a failure, nobody asks the
    provider before `retry_at`. A final verdict on the refresh token stands for the credentials it
    was passed on (rule 6). A refresh token known to be dead is not sent.
 3. *Begin.* The intent (attempt, generation, time) is the new grant, to be stored before anything
    is sent. A lease that ran out counts as an attempt of unknown outcome.

The end of an attempt (`AttemptEnded`) changes the grant so (`attempts.py`, `failures.py`):
 4. Tokens belong to a generation of a login. They are kept unless that generation was superseded,
    however late they come, even after a verdict: they may hold the only living refresh token.
 5. Anything else is heard from the attempt in charge only: who lost the lease proves nothing.
 6. A refusal that means that the refresh token is over (`refusals.py`) is a verdict on it; every
    other failure keeps the grant, and is remembered. A verdict may pass: conditional access, an
    outage that is called so, a server that refuses while the access token lives. So it is not
    final of an attempt begun before the access token's end: that token is served for what is left
    of it, and then one more try decides. A final one asks for a login; who asks for a refresh has
    it tried again, minutes apart, and so may who asks for one before. A success revives the grant.
    Where an answer was lost before, a verdict is final at once and for everybody: the refresh
    token is spent then, and to show it once more may end all that came of it (RFC 9700 §4.14.2),
    unless a replay is harmless. Without such a doubt a second try can do no harm: if another
    deployment has spent it, the first try has ended what a second one could.
 7. Not sent: again at once. Unknown: where a replay is harmless again at once; within a grace
    window inside it; else, and when that window is over, once no request can land any more. Each
    of these earns one further attempt, the next ones back off. An answer that was a failure backs
    off from the start, and Retry-After is honoured.

No order rests on a clock. A record counts the logins, revocations and moves that it has seen
(`place_of`), and whatever takes time says what it has read. What is dated after `now` comes of a
clock that was ahead: an access token may be over, and is replaced before it is served; a refresh
token dated before all that can have been lives longer than it seems.

A login (`LoginCompleted`) starts a new generation (`logins.py`):
 8. It replaces what it has read, and not a later login that was stored meanwhile: of two that have
    read the same, which is a matter of seconds, the one that was sent last stays (and so it does
    when it is noted twice).
    Unless it was begun to replace what works, it does not replace a refresh token that works by
    tokens without one, nor a grant whose account is known by one that does not prove to be of the
    same; nor, where it has to yield, any grant that works.

Tokens that the store would not take when they came (`TokensRescued`) are brought back later
(`logins.py`):
 9. They are kept if their login or, after the same login, their generation is newer than what is
    there.

A grant moves to another deployment (`MoveRequested`, `GrantArrived`; `ReturnRequested` undoes it;
`moving.py`):
10. It is handed over once no attempt is in flight; a lease that has run out is a doubt that goes
    along. From then on the old deployment answers that it has moved, and sends nothing.
11. What belongs to its login and comes late (rules 4 and 9) is kept in it, to be handed over
    again; a later login starts anew (rule 8).
12. It is taken over where there is none, or an older one; a deployment that has handed it over
    itself uses it again only if it was handed over elsewhere later, by the count that it brings.

Its owner ends a grant (`RevokeRequested`), and the provider is told (`RevocationEnded`;
`revoking.py`):
13. It is fenced off first, an attempt in flight or not; one that was handed over is left to the
    deployment that has it. When the provider was told, its last token is forgotten as well.
14. From then on a person has to log in. What belongs to a login of before and comes late (rules 4,
    8 and 9) is kept nowhere: the provider is told of it too.
15. A login that has read the revocation starts anew; one that was begun before it is refused. So
    does a grant of another login that was handed over later.
"""

from datetime import datetime
from typing import assert_never

from domain.attempts import end_attempt
from domain.commands import Decision, Effect
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Question,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensRescued,
)
from domain.grant import Grant, Revoked, Revoking
from domain.instants import require_aware
from domain.logins import complete_login, keep_rescued
from domain.moving import hand_over, take_back, take_over
from domain.policy import Policy
from domain.questions import answer_question
from domain.revoking import begin_revocation, end_revocation, late_tokens


def decide(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    """Return what to answer to a question, or to do before, at one instant (aware UTC).

    Raises ValueError where an instant has no time zone.
    """
    require_aware(now, question)
    return answer_question(grant, question, policy, now)


def apply(grant: Grant, event: Event, policy: Policy, now: datetime) -> Effect:
    """Return what an event makes of a grant, at one instant (aware UTC).

    Raises ValueError where an instant has no time zone.
    """
    require_aware(now, event)
    if isinstance(grant, Revoking | Revoked) and (late := late_tokens(grant, event)) is not None:
        return Effect(grant=grant, to_revoke=late)
    match event:
        case AttemptEnded():
            return end_attempt(grant, event, policy, now)
        case LoginCompleted():
            return complete_login(grant, event, policy, now)
        case TokensRescued(tokens=tokens):
            return keep_rescued(grant, tokens)
        case MoveRequested():
            return hand_over(grant, policy, now)
        case ReturnRequested():
            return take_back(grant)
        case GrantArrived():
            return take_over(grant, event, now)
        case RevokeRequested():
            return begin_revocation(grant, now)
        case RevocationEnded():
            return end_revocation(grant, event)
        case _:
            assert_never(event)
