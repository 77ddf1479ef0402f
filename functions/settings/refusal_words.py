"""`REFUSAL_WORDS`: the provider's own codes and texts for errors, and their meanings."""

import json

from domain.error_meanings import Meaning
from functions.settings.environment import EnvReader

# The meanings as standard codes (RFC 6749 §5.2, §4.1.2.1).
_MEANINGS = {
    Meaning.DEAD.value: "invalid_grant",
    Meaning.CONFIGURATION.value: "invalid_client",
    Meaning.TRY_LATER.value: "temporarily_unavailable",
}


def read_refusal_words(env: EnvReader, text: str) -> dict[str, str]:
    """Return the standard code for each of the provider's own words."""
    try:
        found = json.loads(text)
        return {words.lower().strip(" .!"): _MEANINGS[found[words]] for words in found}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        env.faults.append(
            'REFUSAL_WORDS must look like {"session_closed": "dead"}, with dead, configuration or '
            "try-later for each"  # plain words: a value of the variable
        )
        return {}
