"""The meaning of an error response: login required, wrong settings, temporary, or unexplained.

Rules 6 and 7 of `decide.py` need it. The first step that applies decides. An error in doubt never
ends a grant.
 A. A code about the client or about the requested scope means wrong settings or, with 429 or
    5xx, is temporary. Other codes and texts of the answer do not matter.
 B. A code that names the refresh token and its end requires a login, with any status.
 C. 429, 5xx, and codes and phrases about a limited time are temporary, even with `invalid_grant`.
 D. Any other code that asks for a login requires one. So does a sentence that calls the refresh
    token invalid: some providers use it with `invalid_request`.
 E. The rest of `invalid_request` and the like, a redirect, and a status about the URL or the form
    mean wrong settings.
 F. A page instead of an answer is from a proxy in between, and is temporary.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import assert_never

from domain.grant import Failure
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse

LONGEST_QUOTE = 300

# RFC 6749 §5.2, RFC 8707 §2, and the codes of GitHub, Google, Slack and Zoho for `invalid_client`.
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
# Those for credentials that are wrong. Keycloak answers a wrong secret with `unauthorized_client`.
CREDENTIALS_CODES = frozenset(
    {
        "bad_client_secret",
        "incorrect_client_credentials",
        "invalid_client",
        "invalid_client_secret",
        "unauthorized_client",
    }
)
# Entra's numbers for a client secret that is wrong or has expired.
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
# RFC 6749 §5.2, OpenID Connect Core §3.1.2.6, Slack, Zoho and Firebase. RFC 6750 has
# `invalid_token` for access tokens, but none was sent.
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
# RFC 6749 §4.1.2.1, RFC 8628 §3.5, and Slack with status 200.
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
# Entra's numbers for a client that repeats itself, and for an internal error.
ENTRA_TRANSIENT_CODES = frozenset({"50196", "90033"})
TRANSIENT_PHRASES = ("already being processed", "rate limit", "too many")
# Unless the description blames the refresh token.
REQUEST_CODES = frozenset({"invalid_request", "unauthorized_client"})
KNOWN_CODES = (
    SETTINGS_CODES | REFRESH_TOKEN_CODES | LOGIN_REQUIRED_CODES | TRANSIENT_CODES | REQUEST_CODES
)
WRONG_ENDPOINT_STATUSES = frozenset({404, 405, 415})
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
_REDIRECTS = range(300, 400)

# Words before and after "refresh token" that call it invalid.
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
_CODES_AS_TEXT = frozenset({"invalid_grant"})
# Exact Online's, Better Auth's, and X's.
INVALID_PHRASES = (
    "old refresh token used",
    "session not found",
    "value passed for the token was invalid",
)
# Patterns are compiled at their first use, because errors are rare.
_TOKEN = r"refresh ?token\b"
# "Invalid refresh token parameter" is about the request. Only a few words may follow, or a text
# that looks like the token itself.
_CLAUSE_REST = (
    r"(?=$| (?:given|in request|passed|provided|received|sent|supplied)\b| \S*\d| \S{16})"
)
_VERBS = "already|been|either|has|have|is|now|was"
# "The refresh token is revoked when …" describes a rule, and not an event.
_CONDITIONS = (
    "after|concurrently|each|every|for|if|in|less|once|only|recently|too|unless|until|upon|when"
    "|whenever|with|within"
)
# Words that weaken a sentence or make it negative. One that names the client may be about the
# client.
_HEDGES = (
    r"\b(?:before|can|cannot|check|could|ensure|failed|if|may|might|missing|must|never|no|not|or"
    r" the|required|scope|should|sure|type|unable|unless|until|valid|verify|when|whether|will"
    r"|would)\b"
)
# "The certificate for the refresh token has expired" is about something else.
_OTHER_SUBJECT = (
    r"\b(?:beside|for|from|in|of|on|to|with) (?:(?:a|its|the|this|your) )?$"  # plain words: quoted
)
# "Refresh token" can also be the name of a grant type.
_GRANT_TYPE = "grant type"
_QUOTES = "[\"'`\u2018-\u201f\\\\]"
_CLAUSE_ENDS = r"[^\w\s?/-]+"
_WORD_BREAKS = r"[\s_-]+"
_CAMEL_CASE = r"(?<=[a-z0-9])(?=[A-Z])"
_ENTRA_NUMBER = r"AADSTS([0-9]{4,9})"


class Meaning(Enum):
    """The meaning of an error response. The first three values are words of `REFUSAL_WORDS`."""

    DEAD = "dead"
    CONFIGURATION = "configuration"
    TRY_LATER = "try-later"
    UNEXPLAINED = "unexplained"


_FAILURES: Mapping[Meaning, Failure | None] = {
    Meaning.DEAD: None,
    Meaning.CONFIGURATION: Failure.MISCONFIGURED,
    Meaning.TRY_LATER: Failure.UNAVAILABLE,
    Meaning.UNEXPLAINED: Failure.UNEXPLAINED,
}


def meaning_of(answer: TokenErrorResponse) -> Meaning:
    """Return the meaning of an error response, by the steps above (rules 6 and 7)."""
    raw_codes = tuple(code for code in (answer.error, *answer.more_codes) if code)
    codes = frozenset(map(_plain, raw_codes))
    texts = _texts(answer)
    everything = " ".join((*raw_codes, *texts))
    entra_codes = frozenset(re.findall(_ENTRA_NUMBER, everything))
    is_busy = answer.status == TOO_MANY_REQUESTS or answer.status >= SERVER_ERROR
    # Step A.
    if codes & SETTINGS_CODES or entra_codes & ENTRA_SETTINGS_CODES:
        return Meaning.TRY_LATER if is_busy else Meaning.CONFIGURATION
    # Step B.
    if (codes | _parts(raw_codes)) & REFRESH_TOKEN_CODES:
        return Meaning.DEAD
    # Step C.
    sentences = [re.sub(_WORD_BREAKS, " ", text.casefold()) for text in texts]
    has_transient_code = codes & TRANSIENT_CODES or entra_codes & ENTRA_TRANSIENT_CODES
    if is_busy or has_transient_code or _is_temporary(sentences):
        return Meaning.TRY_LATER
    # Step D.
    codes |= {_plain(text) for text in texts} & _CODES_AS_TEXT
    if codes & LOGIN_REQUIRED_CODES or any(map(_is_about_invalid_token, sentences)):
        return Meaning.DEAD
    # Step E.
    if codes & REQUEST_CODES or is_wrong_endpoint(answer):
        return Meaning.CONFIGURATION
    # Step F.
    return Meaning.TRY_LATER if answer.is_page else Meaning.UNEXPLAINED


def classify(outcome: TokenErrorResponse | NoAnswer) -> Failure | None:
    """Return the failure; None for a refusal of the refresh token (rules 6 and 7)."""
    match outcome:
        case NoAnswer(delivery=delivery):
            return Failure.NOT_SENT if delivery is Delivery.NOT_SENT else Failure.UNKNOWN
        case TokenErrorResponse():
            return _FAILURES[meaning_of(outcome)]
        case _:
            assert_never(outcome)


def classify_without_login(outcome: TokenErrorResponse | NoAnswer) -> Failure:
    """Return the failure of a request for which no login can help (rule 6).

    RFC 6749 §5.2 has `invalid_grant` for codes and refresh tokens: here the client is refused.
    """
    return classify(outcome) or Failure.MISCONFIGURED


def are_credentials_refused(answer: TokenErrorResponse) -> bool:
    """Whether the client's authentication failed.

    Then the provider did not look at the token, which other credentials may still use (RFC 6749
    §5.2). An answer in doubt does not count.
    """
    codes = {_plain(code) for code in (answer.error, *answer.more_codes) if code}
    return bool(codes & CREDENTIALS_CODES) and meaning_of(answer) is Meaning.CONFIGURATION


def is_wrong_endpoint(answer: TokenErrorResponse) -> bool:
    """Whether the status means that the URL is wrong, or does not accept forms."""
    return answer.status in WRONG_ENDPOINT_STATUSES or answer.status in _REDIRECTS


def quote_of(outcome: TokenErrorResponse | NoAnswer) -> str | None:
    """Return the error of an outcome in words, shortened; None if it has none."""
    match outcome:
        case NoAnswer(reason=reason):
            return reason[:LONGEST_QUOTE]
        case TokenErrorResponse(error=error, description=description):
            words = ": ".join(part for part in (error, description) if part)[:LONGEST_QUOTE]
            # A status about the URL explains enough.
            status = f"status {outcome.status}" if is_wrong_endpoint(outcome) else None
            return words or status
        case _:
            assert_never(outcome)


def _texts(answer: TokenErrorResponse) -> tuple[str, ...]:
    # The adapter writes the text for a page or a redirect.
    if answer.is_page or answer.status in _REDIRECTS:
        return ()
    return tuple(text for text in (answer.description, *answer.more_texts) if text)


def _plain(code: str) -> str:
    """Return the usual form of `a.b.InvalidGrant`, `INVALID_GRANT` or "Invalid grant"."""
    last = code.strip(" .!").rpartition(".")[2]
    return re.sub(_WORD_BREAKS, "_", re.sub(_CAMEL_CASE, "_", last)).lower()


def _parts(codes: tuple[str, ...]) -> frozenset[str]:
    """Split codes with details, such as `unauthorized.bad_refresh_token.evicted`."""
    return frozenset(_plain(part) for code in codes for part in code.split("."))


def _is_temporary(sentences: list[str]) -> bool:
    return any(words in sentence for sentence in sentences for words in TRANSIENT_PHRASES)


def _is_about_invalid_token(sentence: str) -> bool:
    if any(words in sentence for words in INVALID_PHRASES):
        return True
    bare = re.sub(_QUOTES, "", sentence.replace("n't", " not"))
    if _GRANT_TYPE in bare:
        return False
    return any(map(_does_clause_name_invalid_token, re.split(_CLAUSE_ENDS, bare)))


def _does_clause_name_invalid_token(clause: str) -> bool:
    if "client" in clause or "?" in clause:
        return False
    words_before, words_after = "|".join(INVALID_BEFORE), "|".join(INVALID_AFTER)
    clause = clause.strip()
    found = re.search(
        rf"\b(?:{words_before}) {_TOKEN}{_CLAUSE_REST}"
        rf"|\b{_TOKEN} (?:(?:{_VERBS}) )*(?:{words_after})\b(?! (?:{_CONDITIONS})\b)",
        clause,
    )
    if found is None:
        return False
    before = clause[: found.start()]
    return not (re.search(_HEDGES, before) or re.search(_OTHER_SUBJECT, before))
