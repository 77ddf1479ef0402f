"""Identity tokens: a glob matches as the regular expression of the same meaning."""

import re

from hypothesis import given
from hypothesis import strategies as st

from domain.identity_token import Glob


@given(pattern=st.text("a*", min_size=1, max_size=9), text=st.text("ab", max_size=9))
def test_glob_matches_as_a_regular_expression_does(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
    assert Glob(pattern).matches(text) == (expected is not None)
