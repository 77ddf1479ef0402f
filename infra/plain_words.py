"""The plain-words check: finds phrases that the writing rules exclude (`make check`).

It reads the docstrings, comments and string literals of tracked Python files, and the prose of
tracked Markdown files. `python -m infra.plain_words PATH…` checks other paths than the usual ones.
A line is allowed with a reason, on that line or on the last of its text:

    # plain words: REASON
    <!-- plain words: REASON -->
"""

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCOPE = (".",)
"""The files to check, as pathspecs of `git ls-files`."""
MOST_WORDS = 30
"""Per sentence. The rule is 20: the rest is room for names and citations."""

_ALLOWED = re.compile(r"(?:#|<!--) plain words: \w")
# Not prose: code, the targets of links, and directives of linters.
_CODE = re.compile(r"`[^`]*`|(?<=\])\([^)\s]*\)|https?://\S+|noqa: [A-Z0-9, ]+|type: ignore\S*")
_FENCE_OR_HEADING = re.compile(r"^ *(```|~~~).*?^ *\1|^#.*?$", re.MULTILINE | re.DOTALL)
_NEXT_BLOCK = re.compile(r"\n[ \t]*(?=\n|(?:[-*>]|\d+\.)\s)|\n(?=\|)")
_MARKER = re.compile(r"\s*(?:[-*>]|\d+\.)\s+|\s+")
_SENTENCE_END = re.compile(r"[.!?][\"')*]*(?=\s)|\|")
_WORD = re.compile(r"\S*[^\W\d_]\S*")


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that breaks a writing rule, and what to write instead."""

    pattern: re.Pattern[str]
    advice: str


def _rule(pattern: str, advice: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), advice)


_SENTENCE = r"(?:^|(?<=[.!?])\s+)"
_CLAUSE = r"(?:^|(?<=[.!?;:])\s+)"
_STATEMENT = r"\b(?![^.;]*\?)"
_IS = r"\b(?:is|are|was|were|be|been|being)\s+"

RULES = (
    _rule(r"\bwho(?:m)?ever\b", "name the actor"),
    _rule(_CLAUSE + "who" + _STATEMENT, "name the actor"),
    _rule(r"\b(?:and|or|by|than|for|from|to|of)\s+who" + _STATEMENT, "name the actor"),
    _rule(_SENTENCE + "what" + _STATEMENT, "name the thing"),
    _rule(r"\bwhatever\b", "name the thing, or list the cases"),
    _rule(r"\b(?:told|tells?|telling)\b", "write return, send, log, store, report or distinguish"),
    _rule(_IS + r"said\b", "write reported or stated"),
    _rule(r"(?:^|\b(?:and|to)\s+)say\b", "write report, state or return"),
    _rule(r"\bnone\s+that\b|\bnot\s+unless\b", "write it affirmatively"),
    _rule(r"(?<!\bthere\s)" + _IS + r"no\s+(?!longer\b|more\b)", 'write "is not a"'),
    _rule(r"\bthere\s+(?:is|are)\s+no\b[^.;:,]*?\bthat\b", "write it affirmatively"),
    _rule(
        r"\b(?:lives|dies|died|dead|living)\b|(?<!keep-)\balive\b", "write expires, valid, stops"
    ),
    _rule(r"\bverdicts?\b", "write answer, result or decision"),
    _rule(r"\banew\b", "write again, or name the act"),
    _rule(r"\bbeside\b", "write with, next to or in addition to"),
    _rule(r"\blet(?:s|ting)?\s+go\s+of\b", "write close or release"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A passage of a file. Prose runs line by line; a string literal stands for its first line."""

    text: str
    line: int
    last_line: int
    is_prose: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """A phrase that a rule excludes."""

    line: int
    phrase: str
    advice: str


def findings(source: str, texts: Iterator[Text]) -> list[Finding]:
    """Check the texts of a file; findings that the source allows are left out. Sorted by line."""
    lines = source.split("\n")

    def is_allowed(number: int) -> bool:
        return _ALLOWED.search(lines[number - 1]) is not None

    return sorted(
        finding
        for text in texts
        if not is_allowed(text.last_line)
        for finding in check(text)
        if not is_allowed(finding.line)
    )


def check(text: Text) -> Iterator[Finding]:
    """Find each phrase of a text that a rule excludes."""
    plain = _CODE.sub(_blank, text.text)
    for rule in RULES:
        for found in rule.pattern.finditer(plain):
            yield _finding(text, plain[: found.end()], found[0], rule.advice)
    if text.is_prose:
        yield from _check_sentences(text, plain)


def _check_sentences(text: Text, plain: str) -> Iterator[Finding]:
    ends = [found.end() for found in _SENTENCE_END.finditer(plain)]
    for start, end in zip([0, *ends], [*ends, len(plain)], strict=True):
        sentence = plain[start:end].lstrip()
        before = plain[: end - len(sentence)]
        phrase = " ".join(sentence.split()[:4])
        if (words := len(_WORD.findall(sentence))) > MOST_WORDS:
            yield _finding(text, before, phrase, f"split the sentence, {words} words")
        if sentence.count(";") > 1:
            yield _finding(text, before, phrase, "split the chain of semicolons")


def _finding(text: Text, before: str, phrase: str, advice: str) -> Finding:
    line = text.line + before.count("\n") if text.is_prose else text.line
    return Finding(line=line, phrase=" ".join(phrase.split()), advice=advice)


def _blank(found: re.Match[str]) -> str:
    return "_" + "\n" * found[0].count("\n")


def python_texts(source: str) -> Iterator[Text]:
    """Cut a Python file into its comments, docstrings and string literals of several words."""
    yield from _comments(source)
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if id(node) in inner or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text, last_line = _literal(node), node.end_lineno or node.lineno
        if id(node) in docstrings:
            yield from _blocks(text, line=node.lineno, last_line=last_line)
        elif " " in text.strip():
            yield Text(text=text, line=node.lineno, last_line=last_line, is_prose=False)


def _literal(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(v) if isinstance(v, ast.Constant) else "_" for v in node.values)
    return node.value if isinstance(node.value, str) else ""


def _comments(source: str) -> Iterator[Text]:
    """Join the comments of consecutive lines."""
    block: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.NL:
            continue
        row = token.start[0]
        is_next = token.type == tokenize.COMMENT and row == first + len(block)
        if block and not is_next:
            yield Text(text="\n".join(block), line=first, last_line=first + len(block) - 1)
            block = []
        if token.type == tokenize.COMMENT:
            first = first if block else row
            block.append(token.string.lstrip("#: "))


def markdown_texts(source: str) -> Iterator[Text]:
    """Cut a Markdown file into its paragraphs, list items and table rows."""
    prose = _FENCE_OR_HEADING.sub(lambda found: "\n" * found[0].count("\n"), source)
    yield from _blocks(prose, line=1)


def _blocks(text: str, *, line: int, last_line: int | None = None) -> Iterator[Text]:
    starts = [0, *(found.end() for found in _NEXT_BLOCK.finditer(text))]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        marker = _MARKER.match(text, start, end)
        begin = start if marker is None else marker.end()
        block = text[begin:end].rstrip()
        first = line + text.count("\n", 0, begin)
        last = first + block.count("\n") if last_line is None else last_line
        if block:
            yield Text(text=block, line=first, last_line=last)


_READERS = {".py": python_texts, ".md": markdown_texts}


def list_files(scope: Sequence[str]) -> list[str]:
    """Return the paths of the tracked files in scope that the check can read."""
    listed = subprocess.run(  # noqa: S603 - git, and pathspecs of ours
        ["git", "ls-files", "-z", "--", *scope],  # noqa: S607 - git is on the PATH
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    paths = [path for path in listed.stdout.split("\0") if Path(path).suffix in _READERS]
    return [path for path in paths if (ROOT / path).exists()]


def main(scope: Sequence[str] = SCOPE) -> int:
    """Print each finding as `file:line: phrase: advice`. Return the exit status."""
    lines: list[str] = []
    for path in list_files(scope):
        source = (ROOT / path).read_text()
        found = findings(source, _READERS[Path(path).suffix](source))
        lines += [f"{path}:{each.line}: {each.phrase!r}: {each.advice}\n" for each in found]
    sys.stdout.writelines(lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or SCOPE))
