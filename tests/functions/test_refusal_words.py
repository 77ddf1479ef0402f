"""REFUSAL_WORDS: what a provider's own words mean, where nobody here knows them."""

import pytest

from adapters.error_response import read_error
from domain.metadata import ServerMetadata
from domain.refusals import Meaning, meaning_of
from functions.settings.environment import EnvReader
from functions.settings.provider import read_provider

ENVIRON = {
    "PROVIDER": "custom",
    "AUTHORIZATION_ENDPOINT": "https://login.example/authorize",
    "TOKEN_ENDPOINT": "https://login.example/token",
}


def meaning(words: str, body: dict[str, object], status: int = 400) -> Meaning:
    env = EnvReader({**ENVIRON, "REFUSAL_WORDS": words})
    told = ServerMetadata(
        authorization_endpoint=ENVIRON["AUTHORIZATION_ENDPOINT"],
        token_endpoint=ENVIRON["TOKEN_ENDPOINT"],
    )
    provider = read_provider(env, told)
    assert env.faults == []
    return meaning_of(read_error(status, {}, b"", body, provider))


@pytest.mark.parametrize("meant", ["dead", "configuration", "try-later"])
@pytest.mark.parametrize("body", [{"error": "E_17"}, {"x": 1, "fault": {"message": "e_17."}}])
def test_a_word_of_the_providers_own_means_what_the_environment_says(
    meant: str, body: dict[str, object]
) -> None:
    assert meaning(f'{{"E_17": "{meant}"}}', body) is Meaning(meant)
    assert meaning('{"E_18": "dead"}', body) is Meaning.UNEXPLAINED


def test_a_text_of_the_providers_own_wins_over_a_code_that_is_known() -> None:
    body: dict[str, object] = {"error": "invalid_client", "error_description": "Session closed."}
    assert meaning("", body) is Meaning.CONFIGURATION
    assert meaning('{"session closed": "dead"}', body) is Meaning.DEAD
    assert meaning('{"session closed": "dead"}', body, status=503) is Meaning.TRY_LATER
