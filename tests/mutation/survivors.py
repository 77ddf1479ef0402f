"""The mutants that no test of the domain can kill, each with the reason.

For another survivor, write the test that kills it. Name it here only if no value, record or answer
can show the fault.
"""

from dataclasses import dataclass

from tests.mutation.mutants import Mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """An invisible fault. The fields are those of a `Mutant`."""

    module: str
    place: str
    before: str
    after: str
    reason: str


_CODECS = "Python finds a codec or a hash by its name in either case."
_PADDING = (
    "The character before the padding of base64url is never an X, because it stands for two or "
    "four bits. Without padding the text ends with the last bits of a `]`."
)
_NUMBERED = "`book_after` replaces it by the id and the time of the write."
_FAILING = "For the type checker: the book has the begin of failures exactly while refreshes fail."

SURVIVORS = (
    Survivor(
        module="domain.adopting",
        place="_idle",
        before="return end_lapsed_lease(grant, policy, now) "
        "if isinstance(grant, Active) else grant",
        after="return end_lapsed_lease(grant, policy, now) "
        "if (isinstance(grant, Active)) or True else grant",
        reason="The condition is for the type checker. Other grants have no lease.",
    ),
    Survivor(
        module="domain.adopting",
        place="_end_proof",
        before="if isinstance(after, Authorized) and (failed := after.failure_state) is not None:",
        after="if (failed := after.failure_state) is not None:",
        reason="The condition is for the type checker. After its end, no request is in flight.",
    ),
    Survivor(
        module="domain.adopting",
        place="_subject",
        before="return None if tokens is None else tokens.subject",
        after="return None if (tokens is None) and False else tokens.subject",
        reason="The condition is for the type checker. A proof that succeeds has tokens.",
    ),
    Survivor(
        module="domain.adopting",
        place="_with",
        before="if grant is adopting.grant or not isinstance(grant, Authorized | Refreshing):",
        after="if grant is adopting.grant:",
        reason="The condition is for the type checker. A question ends no grant.",
    ),
    Survivor(
        module="domain.adopting",
        place="_with_earlier",
        before="if earlier is adopting.earlier or not isinstance(earlier, Inactive | Idle):",
        after="if earlier is adopting.earlier:",
        reason="The condition is for the type checker. Nothing that ends here begins an attempt.",
    ),
    Survivor(
        module="domain.alert_changes",
        place="_alert",
        before='id="",',
        after="id=None,",
        reason=_NUMBERED,
    ),
    Survivor(
        module="domain.alert_changes",
        place="_alert",
        before='id="",',
        after='id="XXXX",',
        reason=_NUMBERED,
    ),
    Survivor(
        module="domain.alert_changes",
        place="_alert",
        before="at=EARLIEST_ISSUE,",
        after="at=None,",
        reason=_NUMBERED,
    ),
    Survivor(
        module="domain.alert_conditions",
        place="_trouble_of",
        before="if failures is None or since is None or not _is_watched(grant, watch):",
        after="if failures is None or not _is_watched(grant, watch):",
        reason=_FAILING,
    ),
    Survivor(
        module="domain.alert_conditions",
        place="_trouble_of",
        before="if failures is None or since is None or not _is_watched(grant, watch):",
        after="if failures is None and since is None or not _is_watched(grant, watch):",
        reason=_FAILING,
    ),
    Survivor(
        module="domain.alert_conditions",
        place="_trouble_of",
        before="if failures is None or since is None or not _is_watched(grant, watch):",
        after="if since is None or not _is_watched(grant, watch):",
        reason=_FAILING,
    ),
    Survivor(
        module="domain.alert_conditions",
        place="login_cause",
        before="is_good = tokens is not None and tokens.is_access_token_valid(watch.now)",
        after="is_good = tokens.is_access_token_valid(watch.now)",
        reason="For the type checker: only a grant with tokens lacks a refresh token.",
    ),
    Survivor(
        module="domain.alert_expiries",
        place="ending_after",
        before="if end is None or tokens is None:",
        after="if end is None:",
        reason="For the type checker: only a grant with tokens has an end.",
    ),
    Survivor(
        module="domain.authorization",
        place="code_challenge",
        before='digest = sha256(code_verifier.encode("ascii")).digest()',
        after='digest = sha256(code_verifier.encode("ASCII")).digest()',
        reason=_CODECS,
    ),
    Survivor(
        module="domain.authorization",
        place="code_challenge",
        before='return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")',
        after='return urlsafe_b64encode(digest).rstrip(b"=").decode("ASCII")',
        reason=_CODECS,
    ),
    Survivor(
        module="domain.authorization",
        place="code_challenge",
        before='return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")',
        after='return urlsafe_b64encode(digest).rstrip(b"XX=XX").decode("ascii")',
        reason=_PADDING,
    ),
    Survivor(
        module="domain.authorization",
        place="sign_state",
        before="return f\"{token}-{hmac.digest(key, token.encode(), 'sha256').hex()[:32]}\"",
        after="return f\"{token}-{hmac.digest(key, token.encode(), 'SHA256').hex()[:32]}\"",
        reason=_CODECS,
    ),
    Survivor(
        module="domain.error_meanings",
        place="meaning_of",
        before='everything = " ".join((*raw_codes, *texts))',
        after='everything = "XX XX".join((*raw_codes, *texts))',
        reason="Entra's numbers are searched for in it, and an X is part of none.",
    ),
    Survivor(
        module="domain.login_link",
        place="read_link",
        before='payload, _, signature = text.rpartition(".")',
        after='payload, _, signature = text.partition(".")',
        reason="No text with a second dot was ever signed, so it is refused either way.",
    ),
    Survivor(
        module="domain.login_link",
        place="_signature",
        before='return _encode(hmac.digest(key, payload.encode(), "sha256"))',
        after='return _encode(hmac.digest(key, payload.encode(), "SHA256"))',
        reason=_CODECS,
    ),
    Survivor(
        module="domain.login_link",
        place="_encode",
        before='return urlsafe_b64encode(data).rstrip(b"=").decode()',
        after='return urlsafe_b64encode(data).rstrip(b"XX=XX").decode()',
        reason=_PADDING,
    ),
    Survivor(
        module="domain.login_link",
        place="_decode",
        before='return urlsafe_b64decode(text + "=" * (-len(text) % 4))',
        after='return urlsafe_b64decode(text + "=" * (+len(text) % 4))',
        reason="It adds two characters where two are missing, none where none is, and three where "
        "one is. The lenient decoder accepts too much padding.",
    ),
    Survivor(
        module="domain.questions",
        place="ask_again_at",
        before="at = current.tokens.ends_before(min_ttl, now, divisor=MIN_TTL_DIVISOR) or expiry",
        after="at = current.tokens.ends_before(min_ttl, now, divisor=MIN_TTL_DIVISOR)",
        reason="For the type checker: tokens that expire have an instant before that.",
    ),
    Survivor(
        module="domain.questions",
        place="missing_authorization",
        before="return found if isinstance(found, Cause) else None",
        after="return found if (isinstance(found, Cause)) or True else None",
        reason="For the type checker: a refresh token that has expired has a cause.",
    ),
    Survivor(
        module="domain.revoking",
        place="_revocation_note",
        before="elif isinstance(outcome, TokenErrorResponse | NoAnswer) and "
        "result is RevocationResult.FAILED:",
        after="elif result is RevocationResult.FAILED:",
        reason="For the type checker: only an error or a missing answer has failed.",
    ),
    Survivor(
        module="domain.moving",
        place="_is_later",
        before="return move.place > other.place",
        after="return move.place >= other.place",
        reason="Equal places were decided by their instants before.",
    ),
)
_NAMED = {(named.module, named.place, named.before, named.after) for named in SURVIVORS}


def is_named(mutant: Mutant) -> bool:
    """Whether a mutant is expected to survive."""
    return (mutant.module, mutant.place, mutant.before, mutant.after) in _NAMED
