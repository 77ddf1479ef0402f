"""What a refusal means: a login is needed, a setting is wrong, it may pass, or nobody can tell.

Asked in this order; the first that knows decides, and no doubt ends a grant that may live:
 1. A code that speaks of the client or of what was asked for is about the settings, whatever else
    is said. With 429 or 5xx it may pass all the same.
 2. A code that names the refresh token and its end is a verdict with any status.
 3. 429 and 5xx, and codes and words that speak of a while, may pass: also beside `invalid_grant`.
 4. Every other code that asks for a login is a verdict, and so is a sentence that says of the
    refresh token that it is over: some providers call that an `invalid_request`.
 5. What is left of `invalid_request` and the like, a redirect, and a status that is about the
    address or the form, are about the settings.
 6. A page in the place of an answer comes from something in between, and may pass.
"""

import re
from enum import Enum
from typing import assert_never

from domain.token_endpoint import NoAnswer, TokenErrorResponse

LONGEST_QUOTE = 300

# RFC 6749 §5.2, RFC 8707 §2, and what GitHub, Google, Slack and Zoho say for `invalid_client`.
SETTINGS_CODES = frozenset(
    {
        "bad_client_secret",
        "deleted_client",
        "disabled_client",
        "incorrect_client_credentials",
        "invalid_client",
        "invalid_client_id",
        "invalid_client_secret",
        "invalid_resource",
        "invalid_scope",
        "invalid_target",
        "unsupported_grant_type",
    }
)
# Entra's numbers: the client's secret is wrong, or has expired.
ENTRA_SETTINGS_CODES = frozenset({"7000215", "7000222"})
# GitHub, Follow Up Boss, Apigee, GoTrue, OpenAI, Firebase, Slack, Schwab, Monzo.
REFRESH_TOKEN_CODES = frozenset(
    {
        "bad_refresh_token",
        "expired_refresh_token",
        "invalid_refresh_token",
        "refresh_token_already_used",
        "refresh_token_authentication_error",
        "refresh_token_expired",
        "refresh_token_invalidated",
        "refresh_token_not_found",
        "refresh_token_reused",
    }
)
# RFC 6749 §5.2, OpenID Connect Core §3.1.2.6, and what Slack, Zoho and Firebase say. RFC 6750 has
# `invalid_token` for access tokens, and none was sent.
LOGIN_REQUIRED_CODES = frozenset(
    {
        "consent_required",
        "interaction_required",
        "invalid_code",
        "invalid_grant",
        "invalid_token",
        "login_required",
        "token_expired",
        "token_revoked",
        "user_disabled",
        "user_not_found",
    }
)
# RFC 6749 §4.1.2.1, RFC 8628 §3.5, and what Slack says with status 200.
TRANSIENT_CODES = frozenset(
    {
        "internal_error",
        "ratelimited",
        "server_error",
        "service_unavailable",
        "slow_down",
        "temporarily_unavailable",
    }
)
# Entra's answer to a client that asks again and again, and a fault of its own.
ENTRA_TRANSIENT_CODES = frozenset({"50196", "90033"})
TRANSIENT_PHRASES = ("already being processed", "rate limit", "too many")
# Where the description does not say that it is the refresh token's fault.
REQUEST_CODES = frozenset({"invalid_request", "unauthorized_client"})
KNOWN_CODES = (
    SETTINGS_CODES | REFRESH_TOKEN_CODES | LOGIN_REQUIRED_CODES | TRANSIENT_CODES | REQUEST_CODES
)
WRONG_ENDPOINT_STATUSES = frozenset({404, 405, 415})
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
_REDIRECTS = range(300, 400)

# What is said before and after "refresh token" of one that is over.
INVALID_BEFORE = ("expired", "invalid", "unknown")
INVALID_AFTER = (
    "been used",
    "expired",
    "invalid",
    "no longer valid",
    "not found",
    "revoked",
)
# "Invalid grant", as Twitch writes it.
_CODES_IN_WORDS = frozenset({"invalid_grant"})
# Exact Online's, Better Auth's, and X's.
INVALID_PHRASES = (
    "old refresh token used",
    "session not found",
    "value passed for the token was invalid",
)
# Patterns are compiled where they are first used, which is seldom.
_TOKEN = r"refresh ?token\b"
# "Invalid refresh token parameter" is about the request: nothing may follow but a few words, or
# what looks like the token itself.
_ENDS_SO = r"(?=$| (?:given|in request|passed|provided|received|sent|supplied)\b| \S*\d| \S{16})"
_VERBS = "already|been|either|has|have|is|now|was"
# "The refresh token is revoked when …" tells how things are, not what has happened.
_BUT_FOR = (
    "after|concurrently|each|every|for|if|in|less|once|only|recently|too|unless|until|upon|when"
    "|whenever|with|within"
)
# What makes a sentence say less, or the contrary; one that names the client may be about that.
_HEDGES = (
    r"\b(?:before|can|cannot|check|could|ensure|failed|if|may|might|missing|must|never|no|not|or"
    r" the|required|scope|should|sure|type|unable|unless|until|valid|verify|when|whether|will"
    r"|would)\b"
)
# "The certificate for the refresh token has expired": what came with it, or is about it.
_OF_ANOTHER_THING = r"\b(?:beside|for|from|in|of|on|to|with) (?:(?:a|its|the|this|your) )?$"
# There "refresh token" is the name of a grant type.
_GRANT_TYPE = "grant type"
_QUOTES = "[\"'`\u2018-\u201f\\\\]"
_CLAUSE_ENDS = r"[^\w\s?/-]+"
_WORD_BREAKS = r"[\s_-]+"
_CAMELS_BACK = r"(?<=[a-z0-9])(?=[A-Z])"
_ENTRAS_NUMBER = r"AADSTS([0-9]{4,9})"


class Meaning(Enum):
    """What to make of a refusal."""

    DEAD = "dead"
    CONFIGURATION = "configuration"
    TRY_LATER = "try-later"
    UNEXPLAINED = "unexplained"


def meaning_of(answer: TokenErrorResponse) -> Meaning:
    """Say what a refusal means, by the rules above."""
    codes_said = tuple(code for code in (answer.error, *answer.more_codes) if code)
    codes = frozenset(map(_plain, codes_said))
    texts = _texts(answer)
    said = " ".join((*codes_said, *texts))
    at_entra = frozenset(re.findall(_ENTRAS_NUMBER, said))
    is_away = answer.status == TOO_MANY_REQUESTS or answer.status >= SERVER_ERROR
    if codes & SETTINGS_CODES or at_entra & ENTRA_SETTINGS_CODES:
        return Meaning.TRY_LATER if is_away else Meaning.CONFIGURATION
    if (codes | _parts(codes_said)) & REFRESH_TOKEN_CODES:
        return Meaning.DEAD
    sentences = [re.sub(_WORD_BREAKS, " ", text.casefold()) for text in texts]
    if (
        is_away
        or codes & TRANSIENT_CODES
        or at_entra & ENTRA_TRANSIENT_CODES
        or _is_passing(sentences)
    ):
        return Meaning.TRY_LATER
    codes |= {_plain(text) for text in texts} & _CODES_IN_WORDS
    if codes & LOGIN_REQUIRED_CODES or any(map(_says_that_over, sentences)):
        return Meaning.DEAD
    if codes & REQUEST_CODES or is_wrong_endpoint(answer):
        return Meaning.CONFIGURATION
    return Meaning.TRY_LATER if answer.is_page else Meaning.UNEXPLAINED


def is_wrong_endpoint(answer: TokenErrorResponse) -> bool:
    """Whether the status says that this is no token endpoint, or none that takes forms."""
    return answer.status in WRONG_ENDPOINT_STATUSES or answer.status in _REDIRECTS


def quote_of(outcome: TokenErrorResponse | NoAnswer) -> str | None:
    """Quote what came instead of tokens; None where nothing was said."""
    match outcome:
        case NoAnswer(reason=reason):
            return reason[:LONGEST_QUOTE]
        case TokenErrorResponse(error=error, description=description):
            words = ": ".join(part for part in (error, description) if part)[:LONGEST_QUOTE]
            # A status that is about the address says enough.
            status = f"status {outcome.status}" if is_wrong_endpoint(outcome) else None
            return words or status
        case _:
            assert_never(outcome)


def _texts(answer: TokenErrorResponse) -> tuple[str, ...]:
    # What is told of a page or of a redirect, we say ourselves.
    if answer.is_page or answer.status in _REDIRECTS:
        return ()
    return tuple(text for text in (answer.description, *answer.more_texts) if text)


def _plain(code: str) -> str:
    """Write a code as most do: `a.b.InvalidGrant`, `INVALID_GRANT`, "Invalid grant"."""
    last = code.strip(" .!").rpartition(".")[2]
    return re.sub(_WORD_BREAKS, "_", re.sub(_CAMELS_BACK, "_", last)).lower()


def _parts(codes: tuple[str, ...]) -> frozenset[str]:
    """Take codes apart that go into detail, such as `unauthorized.bad_refresh_token.evicted`."""
    return frozenset(_plain(part) for code in codes for part in code.split("."))


def _is_passing(sentences: list[str]) -> bool:
    return any(words in sentence for sentence in sentences for words in TRANSIENT_PHRASES)


def _says_that_over(sentence: str) -> bool:
    if any(words in sentence for words in INVALID_PHRASES):
        return True
    bare = re.sub(_QUOTES, "", sentence.replace("n't", " not"))
    if _GRANT_TYPE in bare:
        return False
    return any(map(_clause_says_that_over, re.split(_CLAUSE_ENDS, bare)))


def _clause_says_that_over(clause: str) -> bool:
    if "client" in clause or "?" in clause:
        return False
    before, after = "|".join(INVALID_BEFORE), "|".join(INVALID_AFTER)
    clause = clause.strip()
    found = re.search(
        rf"\b(?:{before}) {_TOKEN}{_ENDS_SO}"
        rf"|\b{_TOKEN} (?:(?:{_VERBS}) )*(?:{after})\b(?! (?:{_BUT_FOR})\b)",
        clause,
    )
    if found is None:
        return False
    before_it = clause[: found.start()]
    return not (re.search(_HEDGES, before_it) or re.search(_OF_ANOTHER_THING, before_it))
