"""`docs/security.md` says of each line what the tests' names say, and nothing is left out."""

from tests.docs.checklist import DEMANDS, NotApplicable, Open
from tests.docs.security import PAGE, TESTS, found_by_line, page

WITHOUT_TEST = {
    number for number, demand in DEMANDS.items() if isinstance(demand, NotApplicable | Open)
}


def test_the_page_says_what_the_tests_names_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: see tests/docs/security.py"


def test_every_line_has_a_test_or_a_reason_and_not_both() -> None:
    assert set(found_by_line(TESTS)) == set(DEMANDS) - WITHOUT_TEST


def test_every_line_without_a_test_says_why() -> None:
    assert all(DEMANDS[number].besides for number in WITHOUT_TEST)
    assert sorted(DEMANDS) == list(range(1, len(DEMANDS) + 1))
