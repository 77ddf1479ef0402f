"""The rules of refresh, as two pure functions: `decide` for questions and `apply` for events.

A grant is what is stored for one connection. Each group of rules below is a module of its own.
"Code" names the main functions of a rule, and each of them names the rule. Durations: `policy.py`.
`effects.py` takes each event to its group. The loop that carries commands out:
`functions/refresh/keeper.py`.

Questions (`TokenRequested`, `RefreshRequested`, `RefreshDue`): `questions.py`, for a fresh token
`serving.py`, and for the first tokens of a client that needs no login `first_tokens.py`
 1. *Need.* Serve an access token that outlives the caller's `min_ttl`. When it or the refresh
    token nears its end, serve it and refresh as well. Refresh as late as possible if the provider
    ends the old access token with a refresh, or if the replay of a request of unknown outcome may
    do so. In the second case the sweep leaves a valid access token alone, too. An explicit refresh
    always refreshes, unless the tokens were requested within `min_refresh_interval`: serve them.
    The sweep leaves tokens of client credentials alone: there is no login to keep.
    While the provider refuses a refresh as too early (rule 2), serve the access token for what is
    left of it.
    Code: `questions._answer_without_refresh`, `questions._is_refresh_wanted`,
    `questions._is_risky`, `serving.lasts`, `serving.is_near_end`. Most questions need no more than
    `serving.serve_fresh` and `serving.next_question_at`. For the sweep: `grant.due_at`,
    `tokens.Tokens.keep_alive_at`.
 2. *Obstacle.* At most one attempt is in flight: other callers wait. Do not send a refresh token
    that has expired. A final refusal holds for the client credentials that it was sent with
    (rule 6). After a failure, send nothing before `retry_at`. If the provider refuses a refresh
    until the access token nears its end, send none before that: not for `min_ttl`, an explicit
    refresh or the sweep. A client that needs no login (RFC 6749 §4.4) requests its first tokens
    where another one asks for a login. Its later requests have its credentials instead of a refresh
    token. A login that works stays in use.
    Code: `questions._request_or_obstacle`, `questions._request`, `questions._wait_until`,
    `questions._too_early_until`, `grant.usable_refresh_token`, `policy.Policy.must_wait`,
    `policy.Policy.refresh_from`, `serving.refresh_at`. Without a login:
    `questions.is_without_login`, `first_tokens.request_first_tokens`.
 3. *Begin.* The new grant names the attempt (id, generation, start). It is stored before the
    request is sent. An attempt whose lease ran out counts as one of unknown outcome.
    Code: `questions._begin`, `failures.end_lapsed_lease`, `policy.Policy.is_in_flight`. For the
    first tokens of client credentials: `first_tokens._begin`, `first_tokens._end_lapsed_lease`.

The end of an attempt (`AttemptEnded`): `attempts.py`, with `failures.py`, `error_meanings.py`
 4. *Tokens.* Tokens belong to a generation of a login. Keep them, however late they come, unless a
    newer generation has replaced theirs. They may hold the only valid refresh token, so a refusal
    in between does not matter. Client credentials bring no refresh token, and one in the answer is
    ignored. So their first tokens are kept only from the attempt in flight.
    Code: `attempts._keep_tokens`, `attempts._issued_at`, `first_tokens._keep_first_tokens`.
 5. *Late failures.* Store a failure only if its attempt is the one in flight. An instance that
    lost its lease proves nothing.
    Code: `attempts.end_attempt`, `attempts._is_of_attempt`, `first_tokens.end_first_request`.
 6. *Refusals.* A refusal means that the provider reports the refresh token as invalid. Any other
    failure keeps the grant.
    - A refusal may be temporary: conditional access, or an outage that is reported like this. So
      it is final only for an attempt that began after the access token expired. Until then the
      access token is served, and one more try decides. If the provider refuses an early refresh,
      the access token must have expired by its clock, too.
    - A final refusal requires a login. An explicit refresh tries again all the same, at most every
      `refused_retry_wait`, before and after the last try. New tokens revive the grant.
    - After a lost answer, a refusal is final at once and for every question. The refresh token was
      spent then, and sending it again may revoke all tokens of the login (RFC 9700 §4.14.2). This
      does not hold where a replay is harmless.
    - Without a lost answer, another try is safe. If another deployment spent the refresh token,
      the first try has had any effect that a second one could have.
    - A refusal of client credentials is a failure of the settings: no login can help.
    Code: `attempts._refuse`, `attempts._is_last_try`, `policy.Policy.last_try_at`,
    `policy.Policy.may_be_too_early`. Which answers are refusals: `error_meanings.classify`,
    `error_meanings.meaning_of`. Of client credentials: `error_meanings.classify_without_login`,
    `first_tokens._fail`. Questions after it: `questions._is_final_for`, `questions._is_refused`,
    `questions._wait_until`,
    `grant.AuthorizationRequired.is_retryable`.
 7. *Retries.* A request that was not sent is tried again at once. One of unknown outcome is tried
    again at once where a replay is harmless, or within the grace window if there is one. Without
    one, and after it, the next try waits until no request can arrive any more. A second failure in
    a row backs off. An answer that is a failure backs off from the first, or for `Retry-After`.
    A grace window may end as soon as the new tokens are used. Then every try waits like that, and
    tokens are served only once they are stored. So a caller has none of them as long as the store
    has the old refresh token, and the window lasts for its whole bound. A record that is restored
    from memory is the exception: the tokens of the lost one may have been used.
    Client credentials do not rotate: a replay is harmless, unless it ends the old access token.
    Code: `failures.add_failure`, `failures.mark_in_doubt`, `failures._retry_at`,
    `failures._replay_at`, `attempts._fail`, `first_tokens._fail`. The meaning of an answer:
    `error_meanings.meaning_of`. Durations: `policy.Policy.backoff`,
    `policy.Policy.for_grant`, `policy.Policy.replay_from`, `policy.Policy.replay_until`,
    `policy.Policy.in_doubt_from_memory`, `policy.Policy.serves_unstored_tokens`.

Logins (`LoginCompleted`) and rescued tokens (`TokensRescued`): `logins.py`
 8. *Login.* A login starts a new generation, and replaces the grant that it has read. If another
    login was stored since, the one that was sent last stays. A login that is applied twice changes
    nothing more. A grant that works is kept in these cases, unless the login `REPLACES`:
    - The grant has a refresh token, and the login brought none, unless the settings state that its
      access token never expires.
    - The account of the grant is known, and the login does not prove to be of the same account.
    - The login `YIELDS` (`events.Precedence`).
    Tokens of client credentials are not a login. The first ones count as one in the record.
    Code: `logins.complete_login`, `logins._is_late`, `logins._is_unwanted`,
    `first_tokens._keep_first_tokens`. The count in a login link: `questions.answer_question`.
 9. *Rescue.* Tokens that the store could not take are stored later. Their login must be newer than
    the stored one or, within one login, their generation.
    Code: `logins.keep_rescued`.

Moves (`MoveRequested`, `ReturnRequested`, `GrantArrived`): `moving.py`
10. *Hand over.* A grant moves once no attempt is in flight. After a lapsed lease, the unknown
    outcome moves with it. Then the old deployment answers that the grant has moved, and sends
    nothing, until the move is undone.
    Code: `moving.hand_over`, `moving.take_back`, `questions._decide`.
11. *Tokens after a move.* Tokens of the login that moved (rules 4 and 9) are stored in the moved
    grant, for another export. A later login starts a new grant (rule 8).
    Code: `attempts._keep_in_moved`, `logins.keep_rescued`, `moving._merge_moves`.
12. *Take over.* An arriving grant is stored where there is none, or an older one. A deployment that
    has handed over its grant uses it again only after a later move, by the count of moves.
    Code: `moving.take_over`, `moving._grant_after_arrival`, `moving._merge_moves`,
    `moving._is_later`, `moving._continue_count`.

Revocation (`RevokeRequested`, `RevocationEnded`): `revoking.py`
13. *Revoke.* The grant ends here before the provider is asked to end it, even if an attempt is in
    flight. A grant that moved is left to the deployment that has it. The last token is deleted
    once the provider has answered, or the tries for that have ended.
    Code: `revoking.begin_revocation`, `revoking.end_revocation`, `revoking.result_of`.
14. *Tokens after a revocation.* A revoked grant requires a login, or a new request with client
    credentials. That one waits until the revocation has ended, at most for a lease. Tokens of an
    earlier login (rules 4, 8 and 9) are not stored; the provider is asked to end them as well.
    Code: `revoking.late_tokens`, `revoking._are_before`, `questions._inactive_cause`,
    `first_tokens.request_first_tokens`.
15. *Start again.* A login that has read the revocation starts a new grant, and an earlier one is
    refused. A grant of another login that was handed over later is stored.
    Code: `revoking._is_before`, `logins.complete_login`, `logins._is_late`,
    `moving._was_handed_over_before`, `grant.was_revoked_since`.

Adoption (`TokensAdopted`): `adopting.py`
16. *Adopt.* A refresh token that another program got is stored next to the earlier grant, with an
    access token that has expired, and the next refresh proves it. Until then the earlier access
    token is served while it is valid. Not adopted, unless it `replaces`, is a token
    - for a grant that works, or that waits for the proof of another one
    - of another account, if both are known.
    A grant that moved, or whose attempt is in flight, stays as it is. The same refresh token again
    changes nothing: the fingerprint of the first one stays with the tokens that came from it, also
    while they wait as the earlier grant.
    Code: `adopting.adopt`, `adopting.obstacle`, `adopting.has_adopted`, `adopting.is_current`,
    `adopting.answer_adopting`,
    `adopting.answer_adoption`. For the sweep: `grant.due_at`. `questions.missing_authorization`.
17. *Proof.* Tokens prove an adoption, and it replaces the earlier grant. A refusal, also of the
    client, and tokens of another account end it, and the earlier grant stays. Any other failure
    keeps both, and is tried again (rule 7). After a lost answer, a refusal is stored if the earlier
    grant does not work, because late tokens may still come (rule 4). Other events before the proof
    concern the earlier grant, but a revocation ends both.
    Code: `adopting.apply_to_adoption`, `adopting._end_proof`, `adopting._refuse`.

Rejections (`TokenRequested.refused`): `questions.py` and `rejections.py`
18. *Rejected.* A caller names the generation of an access token that an API has rejected. If it is
    the stored one, that is not served to this caller: refresh at once, or wait for the attempt in
    flight. Obstacles are those of rule 2; after a refusal that is not final, the wait is that of an
    explicit refresh. Of any other generation, older or newer, the caller has another token than the
    stored one: rule 1 decides. New tokens that replace a rejected one are a new generation for
    callers, with or without a new refresh token. The record keeps the last rejection. If its
    replacement is rejected, too, the next refresh waits: `min_refresh_interval` after the last one,
    twice that for the next in a row, and so on up to `max_rejection_wait`. After
    `rejections_forgotten_after` the count starts again. Other callers get the stored token all
    the time: an API may reject what others accept.
    Code: `questions._is_rejected`, `questions._answer_to_rejection`, `questions._tokens_at_begin`,
    `serving.serve_fresh`,
    `rejections.rejection_after`, `rejections.Rejection.replaceable_at`,
    `tokens.Tokens.public_generation`.

Order depends on counts, not on clocks. A record counts logins, revocations and moves (`place_of`),
and anything that takes time remembers the count that it began with. An instant after `now` comes
from a clock that was ahead. Such an access token may have expired, so it is replaced before it is
served. A refresh token from a clock that was far behind is used beyond its stated expiry.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from domain.commands import AskForAuthorization, Decision, Effect
from domain.grant import Adopting, Grant, Proven
from domain.instants import require_aware
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import Question, RefreshRequested
from domain.questions import answer_question

if TYPE_CHECKING:
    # As in `apply`.
    from domain.events import Event


def decide(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    """Answer a question at the instant `now`, or return the request to send first (rules 1 to 3).

    Raises ValueError if an instant has no time zone.
    """
    asked_at = (question.asked_at,) if isinstance(question, RefreshRequested) else ()
    require_aware(now, *asked_at)
    if isinstance(grant, Adopting):
        # Rule 16. Imported here, because a fresh token does not need it.
        from domain.adopting import answer_adopting

        return answer_adopting(grant, question, policy, now)
    if isinstance(question, RefreshRequested) and question.adopted is not None:  # Rule 16.
        from domain.adopting import answer_adoption

        return answer_adoption(grant, question, policy, now)
    return _answer_proven(grant, question, policy, now)


def _answer_proven(grant: Proven, question: Question, policy: Policy, now: datetime) -> Decision:
    """Answer by rules 1 to 3. A client that needs no login requests its first tokens."""
    decision = answer_question(grant, question, policy.for_grant(grant), now)
    is_login_required = isinstance(decision.command, AskForAuthorization)
    if not is_login_required or policy.provider.grant_type is GrantType.AUTHORIZATION_CODE:
        return decision
    # Rule 2: the client needs no login. Imported here, because a fresh token does not need it.
    from domain.first_tokens import request_first_tokens

    return request_first_tokens(grant, question, policy.for_grant(grant), now)


def apply(grant: Grant, event: "Event", policy: Policy, now: datetime) -> Effect:
    """Return the grant after an event at the instant `now` (rules 4 to 17).

    Raises ValueError if an instant has no time zone.
    """
    # Imported here, because a fresh token brings no event.
    from domain.effects import effect_of

    return effect_of(grant, event, policy.for_grant(grant), now)
