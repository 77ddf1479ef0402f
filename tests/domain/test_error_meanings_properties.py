"""Changed error responses: each can be read, and none ends a grant without a word for that."""

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.error_response import read_error
from domain import error_meanings
from domain.error_meanings import Meaning, meaning_of
from domain.providers.custom import PROVIDER as CUSTOM
from tests.domain.error_responses import corpus
from tests.presets import NAMES, preset_named
from tests.strategies import json_values
from tests.thorough import times

CORPUS = corpus()
# Each word that ends a grant, as letters only.
_CODES = (
    error_meanings.REFRESH_TOKEN_CODES | error_meanings.LOGIN_REQUIRED_CODES | {"refresh_token"}
)
_SENTENCES = {*error_meanings.INVALID_PHRASES, "invalid_grant"}
_LETTERS = re.compile(r"[^a-z]")
# Some letters become these, or these become some, when they change their case.
_TWINS = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"})
WORDS = {_LETTERS.sub("", word) for word in _CODES | _SENTENCES}


def letters(text: str) -> str:
    """Return the letters of a text."""
    return _LETTERS.sub("", text.translate(_TWINS).casefold())


bodies = st.sampled_from([row.members for row in CORPUS if row.members is not None])
junk = json_values | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=40)


@st.composite
def mutated(draw: st.DrawFn, value: Any = None, depth: int = 0) -> Any:
    """A body of the corpus, changed on its way: nested, renamed, cut, other types, JSON in JSON."""
    value = draw(bodies) if depth == 0 else value
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        value = {
            draw(st.sampled_from([name, name, name.upper(), name.replace("_", ""), "x"])): draw(
                mutated(value[name], depth + 1)
            )
            for name in names
        }
        value |= draw(st.dictionaries(st.text(max_size=8), junk, max_size=2))
    if isinstance(value, list):
        value = [draw(mutated(item, depth + 1)) for item in value]
    if isinstance(value, str):
        cut = draw(st.integers(0, len(value)))
        value = draw(st.sampled_from([value, value, value.upper(), value[:cut], value[cut:]]))
    how = draw(st.integers(0, 12))
    match how:
        case 0:
            return {"error": value}
        case 1:
            return [value]
        case 2:
            return json.dumps(value)
        case 3:
            return draw(junk)
        case 4:
            return {"x": value, "fault": {"detail": value}}
        case _:
            return value


@settings(deadline=None, max_examples=times(600))
@given(
    body=mutated(),
    status=st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500, 503]),
    preset=st.sampled_from(NAMES),
    content_type=st.sampled_from(["application/json", "text/html", ""]),
)
@example(body={"error_codes": "\x80"}, status=400, preset="custom", content_type="application/json")
def test_a_changed_response_requires_a_login_only_if_a_known_word_is_left(
    body: object, status: int, preset: str, content_type: str
) -> None:
    text = json.dumps(body)
    answer = read_error(
        status,
        {"content-type": content_type, "retry-after": "9" * 40},
        text.encode(),
        body if isinstance(body, dict) else None,
        preset_named(preset),
    )
    meaning = meaning_of(answer)
    assert (answer.error or "").isascii()
    assert (answer.description or "").encode() is not None
    if not any(word in letters(text) for word in WORDS):
        assert meaning is not Meaning.DEAD


@settings(deadline=None, max_examples=times(300))
@given(
    error=st.text(max_size=40) | st.none(),
    description=st.text(max_size=200) | st.none(),
    status=st.integers(100, 999),
)
def test_any_text_has_a_meaning(error: str | None, description: str | None, status: int) -> None:
    answer = read_error(status, {}, b"", {"error": error, "error_description": description}, CUSTOM)
    assert meaning_of(answer) in Meaning
