"""Write `docs/security.md`: what an owner must know, what is demanded, and what tests it.

python -m tests.docs.security > docs/security.md
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docs.checklist import CHAPTERS, Chapter, Demand, NotApplicable, Open

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs/security.md"
_NAME = re.compile(r"test_checklist_((?:\d+_)+)(.+)")

_INTRODUCTION = """\
# Security

## What the owner of a deployment must know

**What is kept where.** The store has the tokens of each connection, sealed with AES-256-GCM to
their place: a record that is copied to another connection does not open, and an older one that is
put back is undone by whichever instance saw the newer. It also has logins that have begun, sealed
and under a hash of their state, and counts of what was refused, by keyed hashes of addresses. With
the tokens, sealed as well, is what has become of the connection lately, without a secret. API
keys are with who uses them and, as `API_KEY`, in the environment; `API_KEYS` has hashes only. No
secret is logged in the clear: tokens that the store did not take are in the log, sealed
([why](adr/0008-tokens-the-store-does-not-take.md)).

**Who can do what.**

| who has | can | cannot |
|---|---|---|
| an API key for everything | get the access token of every connection, refresh, revoke, begin \
logins and change accounts; see which keys, by their names, were used on a connection | get \
a refresh token or another secret |
| an API key with restrictions | the same, for its endpoints and its connections | be given a link \
to log in, without the endpoint `login` |
| a link to log in | log in within a day, once and with whatever account, while the connection has \
no login that works | replace a login that works |
| `CRON_SECRET` | start the sweep, and learn how many connections were due | get a token |
| the store | delete records, and put back older ones where no instance runs that has seen the \
newer; let a link or a login be used again; see which connections there are, and when they are \
due | read a token, or pass one off as another connection's; make a link, or finish a login |
| the store and the keys | read all tokens | |
| the environment | all of it | |

**How keys are replaced.**

- *An API key*: add an entry to `API_KEYS` (`.venv/bin/python -m functions.admin keys new NAME`),
  let programs change over, and take the old one away. Both are good meanwhile.
- *`CRON_SECRET`*: replace it in the deployment and in the scheduler. What a sweep that was refused
  in between has left, the next one does.
- *`ENCRYPTION_KEYS`*: put the new key first and leave the others. A record is sealed anew when it
  is next written; `.venv/bin/python -m functions.admin reseal` has that done at once, for all of
  them ([step by step](encryption-keys.md)). Then take the old key away. Links to log in that it has
  signed end with it, as do those of before the first key was set.
- *`CLIENT_SECRET`*: without `ENCRYPTION_KEYS` tokens are sealed with what is derived from it, and
  who changes it has to log in again. So set `ENCRYPTION_KEYS` first, `reseal`, and then change it.
  Logins that have begun and not ended begin anew.

**What is left to the owner.** TLS in front of a server of one's own; who may read the environment
and the log; and the watch over `GET /api/verify`.

## What is demanded, and what tests it

This is written from the names of the tests (`python -m tests.docs.security > docs/security.md`).
"""


def found_by_line(root: Path) -> Mapping[int, list[str]]:
    """Find the tests of each line: what their names say, and the file that they are in."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for file in sorted(root.rglob("test_*.py")):
        if "node_modules" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if match := _NAME.fullmatch(node.name):
                said = f"{match[2].replace('_', ' ')} ({file.relative_to(root).with_suffix('')})"
                for number in match[1].rstrip("_").split("_"):
                    found[int(number)].append(said)
    return found


def page() -> str:
    """Write the page."""
    tests = found_by_line(TESTS)
    parts = (_chapter(chapter, tests) for chapter in CHAPTERS)
    return "\n".join((_INTRODUCTION, *("\n".join(lines) for lines in parts)))


def _chapter(chapter: Chapter, tests: Mapping[int, list[str]]) -> Iterator[str]:
    yield f"### {chapter.title}"
    yield ""
    yield "| line | what is demanded | where | how it stands |"
    yield "|---|---|---|---|"
    for number, demand in enumerate(chapter.demands, start=chapter.begins):
        status = "<br>".join(_status(demand, tests.get(number, [])))
        yield f"| {number} | {demand.text} | {demand.source} | {status} |"
    yield ""


def _status(demand: Demand, tests: list[str]) -> Iterator[str]:
    match demand:
        case NotApplicable(besides=reason):
            yield f"does not apply: {reason}"
        case Open(besides=reason):
            yield f"open: {reason}"
        case _:
            yield "tested:"
            yield from tests
            if demand.besides:
                yield demand.besides


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a command prints
