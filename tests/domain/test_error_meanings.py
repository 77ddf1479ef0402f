"""The meaning of error responses: the corpus, the need for each word, and answers in doubt."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from domain import error_meanings
from domain.error_meanings import (
    LONGEST_QUOTE,
    Meaning,
    are_credentials_refused,
    classify,
    is_wrong_endpoint,
    meaning_of,
    quote_of,
)
from domain.grant import Failure
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from tests.domain.error_responses import Row, corpus
from tests.presets import NAMES, preset_named

CORPUS = corpus()
ANSWERS = [(row.answer, row.verdict) for row in CORPUS]
DEAD = Meaning.DEAD
CONFIGURATION = Meaning.CONFIGURATION
TRY_LATER = Meaning.TRY_LATER
UNEXPLAINED = Meaning.UNEXPLAINED
# Every table of words and numbers that rules are made of.
TABLES = (
    "SETTINGS_CODES",
    "ENTRA_SETTINGS_CODES",
    "REFRESH_TOKEN_CODES",
    "LOGIN_REQUIRED_CODES",
    "TRANSIENT_CODES",
    "ENTRA_TRANSIENT_CODES",
    "TRANSIENT_PHRASES",
    "REQUEST_CODES",
    "WRONG_ENDPOINT_STATUSES",
    "INVALID_BEFORE",
    "INVALID_AFTER",
    "INVALID_PHRASES",
    "_CODES_AS_TEXT",
)
RULES = [(table, word) for table in TABLES for word in sorted(getattr(error_meanings, table))]


def refusal(
    error: str | None = None, description: str | None = None, status: int = 400
) -> TokenErrorResponse:
    return TokenErrorResponse(status=status, error=error, description=description)


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: f"{row.provider}-{row.verdict.value}")
def test_each_response_of_the_corpus_has_its_meaning(row: Row) -> None:
    assert meaning_of(row.answer) is row.verdict, row.source


def test_the_corpus_has_many_providers_and_every_meaning() -> None:
    assert len(CORPUS) >= 120
    assert len({row.provider for row in CORPUS}) >= 50
    assert all(row.source for row in CORPUS)
    assert {row.verdict for row in CORPUS} == set(Meaning)


@pytest.mark.parametrize(("table", "word"), RULES)
def test_each_word_of_the_tables_decides_a_response_of_the_corpus(
    monkeypatch: pytest.MonkeyPatch, table: str, word: str | int
) -> None:
    words = getattr(error_meanings, table)
    monkeypatch.setattr(error_meanings, table, type(words)(each for each in words if each != word))
    assert any(meaning_of(answer) is not verdict for answer, verdict in ANSWERS)


@pytest.mark.parametrize("name", [name for name in NAMES if preset_named(name).error_aliases])
def test_each_alias_of_a_preset_decides_a_response_of_the_corpus(name: str) -> None:
    provider = preset_named(name)
    # A sandbox has the aliases of its production, and its responses too.
    rows = [
        row for row in CORPUS if preset_named(row.preset).error_aliases == provider.error_aliases
    ]
    for word in provider.error_aliases:
        without: Mapping[str, str] = {k: v for k, v in provider.error_aliases.items() if k != word}
        changed = replace(provider, error_aliases=without)
        assert any(meaning_of(row.read_for(changed)) is not row.verdict for row in rows), word


# Sentences with the words of an invalid refresh token, about one that may be valid.
LIVING = [
    "The refresh token is valid but the scope is expired",
    "Missing refresh token parameter",
    "The refresh token is missing or invalid",
    "missing or invalid refresh token",
    "Refresh token rate exceeded",
    "Temporarily unable to validate refresh token",
    "Cannot check whether the refresh token is expired",
    "If the refresh token is expired, log in again",
    "when the refresh token was revoked",
    "unless the refresh token is expired",
    "until the refresh token is revoked",
    "before the refresh token is expired",
    "Make sure your refresh token is not expired",
    "Please verify that the refresh token is not revoked",
    "Check that you do not send an expired refresh token",
    "Ensure that no expired refresh token is sent",
    "never an invalid refresh token",
    "Do not send an invalid refresh token",
    "This is not an invalid refresh token",
    "it isn't an invalid refresh token",
    "The refresh token is not expired",
    "The refresh token has not expired",
    "The refresh token was not revoked",
    "The refresh token hasn't been revoked",
    "The refresh token has not been found expired",
    "The refresh token isn't invalid",
    "The refresh token may be expired",
    "the refresh token might be revoked",
    "it may be that the refresh token is expired",
    "it might be that the refresh token is expired",
    "it could be that the refresh token is expired",
    "it can be that the refresh token is expired",
    "it must be that the refresh token is expired",
    "it should be known when your refresh token is invalid",
    "in a day your refresh token will be expired",
    "will then the refresh token be revoked",
    "would mean that your refresh token is invalid",
    "failed to prove that the refresh token is invalid",
    "cannot prove that the refresh token is invalid",
    "Is the refresh token expired?",
    "Invalid refresh token?",
    "a valid one and an expired refresh token",
    "The secret is wrong or the refresh token is invalid",
    "The refresh token is invalid for this client",
    "Client sent an invalid refresh token",
    *(f"Invalid refresh token {thing}" for thing in ("flow", "format", "grant", "header")),
    *(f"Invalid refresh token {thing}" for thing in ("length", "limit", "param", "parameter")),
    *(f"Invalid refresh token {thing}" for thing in ("policy", "rate", "request", "type")),
    *(f"The refresh token is revoked {so} you log out" for so in ("after", "each time", "every")),
    *(f"The refresh token is revoked {so} you log out" for so in ("if", "once", "only when")),
    *(f"The refresh token is revoked {so} you log out" for so in ("unless", "until", "upon")),
    *(f"The refresh token is revoked {so} you log out" for so in ("when", "whenever")),
    "The refresh token is invalid for the audience",
    "refresh token expired in 30 days",
    "The refresh token is revoked with each refresh",
    "the refresh token is revoked within a minute",
    "invalid refresh token lifetime configured",
    "invalid refresh token or scope",
    "invalid refresh token in configuration",
    "invalid_refresh_token_type",
    "The access token has expired",
    "The bearer token is invalid",
    "Your session has expired",
    "Invalid grant type",
    "Invalid grant_type parameter",
    "Failed to refresh token: expired certificate",
    "Could not refresh token. Invalid request",
    "Invalid request. Refresh token: required",
    "refresh tokens are not enabled",
    "The refresh token is used for refreshing",
    "refresh_token_limit",
    "refresh token issued",
    "Old refresh token kept",
    "Access Denied. You have made too many requests continuously",
    "refresh token already has 50 valid access tokens",
    "grant_type=refresh_token is invalid",
    "Invalid value of grant_type: refresh_token is invalid",
    "The response type 'refresh_token' is invalid",
    "The scope refresh_token is invalid",
    "Required parameter refresh_token not found",
    *(f"The refresh token has been used {so}" for so in ("concurrently", "too recently")),
    *(f"The refresh token has been used {so}" for so in ("less than a second ago", "recently")),
    *(f"The certificate {of} the refresh token has expired" for of in ("beside", "for", "from")),
    *(f"The certificate {of} the refresh token has expired" for of in ("of", "on", "in", "to")),
    *(f"The text sent with {one}refresh token is invalid" for one in ("", "a ", "its ", "the ")),
    *(f"The text sent with {one} refresh token is invalid" for one in ("this", "your")),
]


@pytest.mark.parametrize("sentence", LIVING)
def test_a_sentence_about_a_refresh_token_that_may_be_valid_keeps_the_grant(sentence: str) -> None:
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for error in (None, "invalid_request", "access_denied", "Unauthorized"):
            assert meaning_of(refusal(error, sentence, status)) is not DEAD


# More than in the corpus, in words that other providers may choose.
OVER = [
    "Invalid refresh token",
    "INVALID REFRESH-TOKEN",
    "invalid refreshToken",
    "'Invalid refresh_token'",
    "Unknown refresh token.",
    "The refresh token is invalid",
    "refresh token is expired",
    "The refresh token has expired",
    "the refresh token was revoked",
    "Refresh token has been revoked by the user",
    "Refresh token already revoked",
    "refresh token is now invalid",
    "Refresh token is either invalid or expired",
    "Refresh token was not found",
    "The token is unknown: refresh token not found",
    "Your refresh token has been used",
    "the refresh token have been revoked",
    "Request failed: invalid refresh token",
    *(f"invalid refresh token {so}" for so in ("given", "in request", "passed", "provided")),
    *(f"invalid refresh token {so}" for so in ("received", "sent by you", "supplied")),
    "Invalid refresh token abc1def",
    "Invalid refresh token abcdefghijklmnopqrs",
]


@pytest.mark.parametrize("sentence", OVER)
def test_a_sentence_that_calls_the_refresh_token_invalid_is_a_refusal(sentence: str) -> None:
    for status in (200, 400, 401, 403, 404):
        for error in (None, "invalid_request", "unauthorized_client", "access_denied"):
            assert meaning_of(refusal(error, sentence, status)) is DEAD
        assert meaning_of(refusal("invalid_client", sentence, status)) is CONFIGURATION


@pytest.mark.parametrize("status", [429, 500, 501, 599])
def test_an_outage_is_no_refusal_unless_the_code_names_the_refresh_token(status: int) -> None:
    for error in ("invalid_grant", "login_required", "invalid_client", "invalid_request", None):
        assert meaning_of(refusal(error, "Invalid refresh token", status)) is TRY_LATER
    assert meaning_of(refusal("bad_refresh_token", None, status)) is DEAD


@pytest.mark.parametrize("status", [428, 430, 499])
def test_other_statuses_are_no_outage(status: int) -> None:
    assert meaning_of(refusal("invalid_grant", None, status)) is DEAD
    assert meaning_of(refusal(None, None, status)) is UNEXPLAINED


@pytest.mark.parametrize(
    "code",
    [
        *("INVALID_GRANT", "InvalidGrant", "invalidGrant", "invalid-grant", "a.b.invalid_grant"),
        *("invalid_grant.", "invalid_grant!", " invalid_grant "),
    ],
)
def test_a_code_may_be_written_in_many_ways(code: str) -> None:
    assert meaning_of(refusal(code)) is DEAD
    answer = TokenErrorResponse(status=400, error="Unauthorized", more_codes=(code,))
    assert meaning_of(answer) is DEAD


def test_a_longer_code_is_another_one() -> None:
    assert meaning_of(refusal("INVALID_GRANTX")) is UNEXPLAINED


@pytest.mark.parametrize("number", ["AADSTS90033", "AADSTS50196"])
def test_an_entra_number_counts_in_any_text(number: str) -> None:
    assert meaning_of(refusal(number)) is TRY_LATER
    assert meaning_of(refusal("invalid_grant", f"{number}: why")) is TRY_LATER
    answer = TokenErrorResponse(status=400, error="invalid_grant", more_codes=(number,))
    assert meaning_of(answer) is TRY_LATER


def test_further_codes_and_texts_count_as_well() -> None:
    answer = TokenErrorResponse(
        status=400,
        error="invalid_request",
        description="No.",
        more_texts=("Refresh token expired",),
    )
    assert meaning_of(answer) is DEAD
    assert meaning_of(replace(answer, more_codes=("invalid_client",))) is CONFIGURATION
    assert meaning_of(replace(answer, more_codes=("AADSTS90033",))) is TRY_LATER
    assert meaning_of(replace(answer, more_texts=("Rate limit", "Refresh token expired"))) is (
        TRY_LATER
    )


@pytest.mark.parametrize("error", ["server_error", "invalid_grant"])
def test_words_about_a_limited_time_outweigh_a_code_that_may_mean_something_else(
    error: str,
) -> None:
    assert meaning_of(refusal(error, "Too many requests: refresh token expired")) is TRY_LATER
    assert meaning_of(refusal("refresh_token_reused", "Too many requests")) is DEAD


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399, 404, 405, 415])
def test_a_redirect_or_a_status_about_the_url_means_wrong_settings(status: int) -> None:
    said = refusal(None, "a redirect to expired.example/refresh_token_expired", status)
    assert is_wrong_endpoint(said)
    assert meaning_of(refusal(None, None, status)) is CONFIGURATION
    assert meaning_of(refusal("invalid_grant", None, status)) is DEAD


@pytest.mark.parametrize("status", [299, 400, 403, 406, 414])
def test_other_statuses_are_not_about_the_url(status: int) -> None:
    assert not is_wrong_endpoint(refusal(None, None, status))


@pytest.mark.parametrize("status", [301, 403])
def test_our_own_text_for_a_redirect_or_a_page_has_no_meaning(
    status: int,
) -> None:
    said = TokenErrorResponse(
        status=status, error=None, description="refresh token expired", is_page=True
    )
    assert meaning_of(said) is (CONFIGURATION if status == 301 else TRY_LATER)
    assert meaning_of(replace(said, is_page=False, status=302)) is CONFIGURATION


@pytest.mark.parametrize(
    ("meaning", "failure"),
    [
        ("invalid_grant", None),
        ("invalid_client", Failure.MISCONFIGURED),
        ("server_error", Failure.UNAVAILABLE),
        ("wat", Failure.UNEXPLAINED),
    ],
)
def test_a_meaning_is_a_failure_or_a_refusal(meaning: str, failure: Failure | None) -> None:
    assert classify(refusal(meaning)) is failure


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (refusal("invalid_grant", "It is over."), "invalid_grant: It is over."),
        (refusal("invalid_grant"), "invalid_grant"),
        (refusal(None, "It is over."), "It is over."),
        (refusal(), None),
        (refusal(None, "", 404), "status 404"),
        (refusal(None, "There is nothing.", 404), "There is nothing."),
        (NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout"), "ReadTimeout"),
    ],
)
def test_the_quote_is_the_providers_error_and_nothing_else(
    outcome: TokenErrorResponse | NoAnswer, said: str | None
) -> None:
    assert quote_of(outcome) == said


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        pytest.param(refusal("invalid_client", status=401), True, id="rfc6749"),
        pytest.param(refusal("invalid_client", status=200), True, id="with-a-success"),
        pytest.param(refusal("Invalid Client", status=400), True, id="written-otherwise"),
        pytest.param(refusal("bad_client_secret", status=400), True, id="slack"),
        pytest.param(refusal("incorrect_client_credentials", status=200), True, id="github"),
        pytest.param(refusal("unauthorized_client", status=401), True, id="keycloak"),
        pytest.param(
            TokenErrorResponse(status=401, error="Unauthorized", more_codes=("invalid_client",)),
            True,
            id="among-others",
        ),
        pytest.param(refusal("invalid_client", status=503), False, id="outage"),
        pytest.param(refusal("invalid_client", status=429), False, id="busy"),
        pytest.param(
            refusal("unauthorized_client", "The refresh token has expired."), False, id="token"
        ),
        pytest.param(refusal("invalid_scope"), False, id="scope"),
        pytest.param(refusal("deleted_client"), False, id="client"),
        pytest.param(refusal("invalid_grant"), False, id="grant"),
        pytest.param(refusal(None, status=401), False, id="status-only"),
    ],
)
def test_refused_credentials_are_told_from_other_refusals(
    answer: TokenErrorResponse,
    refused: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert are_credentials_refused(answer) is refused


def test_a_quotation_is_cut() -> None:
    assert LONGEST_QUOTE == 300
    assert len(quote_of(refusal("code", "x" * 400)) or "") == 300
    assert len(quote_of(NoAnswer(delivery=Delivery.UNKNOWN, reason="x" * 400)) or "") == 300


def test_the_codes_that_are_known_are_those_of_the_tables() -> None:
    tables = TABLES[0], TABLES[2], TABLES[3], TABLES[4], TABLES[7]
    known = [code for table in tables for code in getattr(error_meanings, table)]
    assert sorted(error_meanings.KNOWN_CODES) == sorted(known)
    assert {"invalid_client", "bad_refresh_token", "invalid_grant"} < error_meanings.KNOWN_CODES
    assert {"server_error", "invalid_request"} < error_meanings.KNOWN_CODES
