"""The plain-words check finds what each rule excludes, and accepts plain sentences."""

from pathlib import Path

import pytest

from infra import plain_words
from infra.plain_words import RULES, Rule, Text, check, findings, main, markdown_texts, python_texts

EXAMPLES = """\
A line that whoever has the key ring can read.
The keys are shared. Who comes meanwhile waits.
The search outlives the task of who began it.
Sealed to its key. What a store says of it does not count.
Put null in the place of whatever stands too deep.
Tell the time as the operating system does.
What came of each request is said, never raised.
Send the request and say what came of it.
A link is shown to none that has a token.
The text is no list of keys.
There is no parameter that has this name.
The only living refresh token.
The verdict on a refusal.
Resolve the dependencies anew.
Keep the log beside the file.
Let go of the connections.
""".splitlines()  # plain words: an example for each rule

GOOD = (
    "Too many failed requests from this address (30 in 5 minutes). Valid requests still work.",
    "Login link for a person without an API key. Single use, 24 hours.",
    "All callers share one refresh.",
    "Failed requests per address or key in 5 minutes before 429. Default 30; 0 disables.",
    "Unknown parameter 'x'. Allowed: connection, min_ttl.",
    "The store is unavailable. No data was lost. Retry in 2 s.",
    "refresh failed: cannot connect to api.digikey.com (ConnectError); next try in 4 s",
    "An explicit refresh always refreshes, unless one finished in the last 10 s.",
    "The caller who logs in first receives the tokens.",
    "A pool without keep-alive: the grant is no longer valid.",
    "Return the reason, or None if there is no record. Rows that match are sorted.",
    "Who can log in? What does a login cost?",
    "`whoever` and `what is told` are code, and so is [a page](docs/verdicts-anew.md).",
)


def prose(text: str) -> Text:
    return Text(text=text, line=1, last_line=1 + text.count("\n"))


@pytest.mark.parametrize(("rule", "example"), [*zip(RULES, EXAMPLES, strict=True)], ids=EXAMPLES)
def test_each_rule_finds_its_example(rule: Rule, example: str) -> None:
    assert rule.pattern.search(example)
    assert rule.advice in {finding.advice for finding in check(prose(example))}


@pytest.mark.parametrize("sentence", GOOD)
def test_a_plain_sentence_has_no_findings(sentence: str) -> None:
    assert not list(check(prose(sentence)))
    assert not list(check(Text(text=sentence, line=1, last_line=1, is_prose=False)))


def test_a_sentence_has_at_most_thirty_words() -> None:
    assert not list(check(prose("word " * 30)))
    [finding] = check(prose("Short.\n" + "word " * 31))
    assert (finding.line, finding.advice) == (2, "split the sentence, 31 words")


def test_a_sentence_has_at_most_one_semicolon() -> None:
    assert not list(check(prose("One; two. Three; four.")))
    [finding] = check(prose("One; two; three."))
    assert finding.advice == "split the chain of semicolons"


def test_docstrings_comments_and_literals_are_read_with_their_lines() -> None:
    source = '''"""Plain.

Let
go of it.
"""
# A comment, whoever
# wrote it, and
x = 1  # Beside code.
y = f"{x} is told " "anew"
z = "whatever"
'''  # plain words: examples
    found = findings(source, python_texts(source))
    assert [(finding.line, finding.phrase) for finding in found] == [
        (4, "Let go of"),  # plain words: an example
        (6, "whoever"),
        (8, "Beside"),
        (9, "anew"),
        (9, "told"),
    ]


def test_paragraphs_items_and_rows_of_markdown_are_read_without_code_and_headings() -> None:
    source = """# What a heading asks

A paragraph. ```whoever```

- What an item says.
- Fine.

| setting | what |
|---|---|
| x | Told to callers. |

```sh
whoever
```

1. Run it:

   ```sh
   whoever
   ```
"""  # plain words: examples
    found = findings(source, markdown_texts(source))
    assert [(finding.line, finding.phrase) for finding in found] == [(5, "What"), (10, "Told")]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = 'whoever asks'  # plain words: the provider's own text\n", 0),
        ('"""A text\nof whoever.\n"""  # plain words: a quotation\n', 0),
        ("x = 'whoever asks'  # plain words:\n", 1),  # plain words: an example
        ("x = 'whoever asks'  # plain words: a quotation\ny = 'whoever asks'\n", 1),
    ],
)
def test_a_line_is_allowed_with_a_reason_only(source: str, count: int) -> None:
    assert len(findings(source, python_texts(source))) == count


def test_findings_are_printed_and_fail_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(paths: str) -> None:
        monkeypatch.setattr(plain_words, "list_files", lambda _scope: paths.split())

    monkeypatch.setattr(plain_words, "ROOT", tmp_path)
    Path(tmp_path, "good.md").write_text("Fine.\n")
    Path(tmp_path, "bad.md").write_text("\nWhoever asks.\n")  # plain words: an example
    listed("good.md")
    assert main() == 0
    listed("good.md bad.md")
    assert main() == 1
    printed = capsys.readouterr().out
    assert printed == "bad.md:2: 'Whoever': name the actor\n"  # plain words: an example
