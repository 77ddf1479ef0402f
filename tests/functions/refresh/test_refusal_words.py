"""REFUSAL_WORDS: the meaning of a provider's own words."""

import json

import pytest

from adapters.error_response import read_error
from domain.error_meanings import Meaning, meaning_of
from domain.metadata import ServerMetadata
from functions.settings.environment import EnvReader
from functions.settings.provider import read_provider

ENVIRON = {
    "PROVIDER": "custom",
    "AUTHORIZATION_ENDPOINT": "https://login.example/authorize",
    "TOKEN_ENDPOINT": "https://login.example/token",
}


def meaning(words: dict[str, str], body: dict[str, object], status: int = 400) -> Meaning:
    env = EnvReader({**ENVIRON, "REFUSAL_WORDS": json.dumps(words) if words else ""})
    overrides = ServerMetadata(
        authorization_endpoint=ENVIRON["AUTHORIZATION_ENDPOINT"],
        token_endpoint=ENVIRON["TOKEN_ENDPOINT"],
    )
    provider = read_provider(env, overrides)
    assert env.faults == []
    return meaning_of(read_error(status, {}, b"", body, provider))


@pytest.mark.parametrize("meant", ["dead", "configuration", "try-later"])
@pytest.mark.parametrize("body", [{"error": "E_17"}, {"x": 1, "fault": {"message": "e_17."}}])
def test_word_of_a_provider_has_the_meaning_in_the_environment(
    meant: str, body: dict[str, object]
) -> None:
    assert meaning({"E_17": meant}, body) is Meaning(meant)
    assert meaning({"E_18": "dead"}, body) is Meaning.UNEXPLAINED


def test_text_of_a_provider_wins_over_a_known_code() -> None:
    body: dict[str, object] = {"error": "invalid_client", "error_description": "Session closed."}
    words = {"session closed": "dead"}
    assert meaning({}, body) is Meaning.CONFIGURATION
    assert meaning(words, body) is Meaning.DEAD
    assert meaning(words, body, status=503) is Meaning.TRY_LATER
