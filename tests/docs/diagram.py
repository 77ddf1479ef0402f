"""Write `docs/grant-states.svg`: the states of a grant, and the events between them.

python -m tests.docs.diagram > docs/grant-states.svg

`tests.docs.transitions` finds the transitions; this module only places them. A transition without a
place, and a place without a transition, are errors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from xml.sax.saxutils import escape

from domain.grant import Active, Proven
from tests.docs.transitions import Transitions, members, transitions

ROOT = Path(__file__).parents[2]
DIAGRAM = ROOT / "docs/grant-states.svg"

STATES = tuple(state.__name__ for state in members(Proven))
# An arrow from the frame is one from each state in it.
FRAMED = tuple(state.__name__ for state in members(Active))
_CAPTION = (
    "Drawn from domain/decide.py. Adoptions, and events that leave the state as it is, are not "
    "shown."
)
ANY = "any other state"
FRAME = "frame"

_WIDTH, _HEIGHT = 1212, 640
_STATE_WIDTH, _STATE_HEIGHT = 184, 44
_LINE = 16
_LABEL_WIDTH = 24
_STYLE = """\
  svg { color-scheme: light dark; }
  .paper { fill: #ffffff; }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .name { font-weight: 600; text-anchor: middle; }
  .small { fill: #59636e; }
  .state { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }
  .frame { fill: none; stroke: #818b98; stroke-dasharray: 6 4; }
  .arrow { fill: none; stroke: #59636e; stroke-width: 1.5; marker-end: url(#head); }
  .head { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .state { fill: #0c2d6b; stroke: #4493f8; }
    .frame { stroke: #656c76; }
    .arrow { stroke: #9198a1; }
    .head { fill: #9198a1; }
  }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The path of an arrow, and the place of its label's first line."""

    path: str
    label: tuple[int, int]
    anchor: str = "start"


_PLACES: Mapping[str, tuple[int, int]] = {
    "Unauthorized": (112, 190),
    "Requesting": (570, 560),
    "Authorized": (390, 190),
    "Refreshing": (750, 190),
    "AuthorizationRequired": (570, 420),
    "Moved": (112, 420),
    "Revoking": (1100, 190),
    "Revoked": (1100, 420),
}
_FRAME_PLACE = (270, 24, 600, 460)
_ARROWS: Mapping[tuple[str, str], Arrow] = {
    (ANY, "Authorized"): Arrow(path="M390 136 V166", label=(390, 80), anchor="middle"),
    (ANY, "AuthorizationRequired"): Arrow(path="M698 420 H664", label=(704, 416)),
    ("Authorized", "Refreshing"): Arrow(path="M482 180 H656", label=(570, 138), anchor="middle"),
    ("Refreshing", "Authorized"): Arrow(path="M658 202 H484", label=(570, 222), anchor="middle"),
    ("Refreshing", "AuthorizationRequired"): Arrow(
        path="M752 212 C752 320 700 350 630 396", label=(744, 322)
    ),
    ("AuthorizationRequired", "Refreshing"): Arrow(
        path="M590 398 C610 330 640 290 696 214", label=(606, 306), anchor="end"
    ),
    ("AuthorizationRequired", "Authorized"): Arrow(
        path="M500 398 C450 350 430 300 410 214", label=(424, 330), anchor="end"
    ),
    (FRAME, "Moved"): Arrow(path="M270 432 H206", label=(112, 462), anchor="middle"),
    ("Moved", "Authorized"): Arrow(path="M140 398 C170 300 250 260 346 213", label=(92, 284)),
    ("Moved", "AuthorizationRequired"): Arrow(path="M204 412 H476", label=(306, 406)),
    (FRAME, "Revoking"): Arrow(path="M870 190 H1006", label=(938, 182), anchor="middle"),
    ("Unauthorized", "Requesting"): Arrow(
        path="M20 200 C8 200 8 220 8 240 V546 C8 566 24 570 44 570 H476", label=(210, 588)
    ),
    ("Requesting", "Unauthorized"): Arrow(
        path="M478 550 H246 C226 550 222 546 222 526 V240 C222 220 218 212 206 206",
        label=(236, 506),
    ),
    ("Requesting", "Authorized"): Arrow(path="M500 538 C420 480 350 350 362 214", label=(312, 462)),
    (FRAME, "Requesting"): Arrow(path="M620 484 V536", label=(630, 506)),
    ("Revoked", "Requesting"): Arrow(path="M1060 442 C1030 520 860 556 664 556", label=(790, 510)),
    ("Revoking", "Requesting"): Arrow(
        path="M1192 196 C1208 300 1208 480 1180 540 C1150 592 900 584 664 572", label=(1000, 606)
    ),
    ("Revoking", "Revoked"): Arrow(path="M1100 212 V396", label=(1090, 310), anchor="end"),
}


def drawn(found: Transitions) -> dict[tuple[str, str], frozenset[str]]:
    """Merge the arrows from all states, or from all in the frame, to the same state."""
    left = {states: set(said) for states, said in found.items()}
    arrows: dict[tuple[str, str], frozenset[str]] = {}
    outside = tuple(state for state in STATES if state not in FRAMED)
    for source, group, targets in ((ANY, STATES, STATES), (FRAME, FRAMED, outside)):
        for target in targets:
            others = [(state, target) for state in group if state != target]
            shared = frozenset.intersection(*(frozenset(left.get(pair, ())) for pair in others))
            if shared:
                arrows[source, target] = shared
                for pair in others:
                    left[pair] -= shared
    return arrows | {states: frozenset(said) for states, said in left.items() if said}


def svg() -> str:
    """Draw the diagram."""
    found = transitions()
    arrows = drawn(found)
    assert set(_PLACES) == set(STATES), "a state has no place, or is gone"
    assert set(_ARROWS) == set(arrows), f"different: {set(_ARROWS) ^ set(arrows)}"
    lines = (
        *_head(found),
        *_frame(),
        *(line for state in STATES for line in _state(state)),
        *(line for states in _ARROWS for line in _arrow(_ARROWS[states], states, arrows)),
        f'<text class="small" x="20" y="{_HEIGHT - 16}">{_CAPTION}</text>',
        "</svg>\n",
    )
    return "\n".join(lines)


def _head(found: Transitions) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-labelledby="title desc">'
    )
    yield '<title id="title">The states of a grant</title>'
    yield f'<desc id="desc">{escape(" ".join(_sentences(found)))}</desc>'
    yield f"<style>\n{_STYLE}\n</style>"
    yield (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
    )
    yield f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>'


def _sentences(found: Transitions) -> Iterator[str]:
    for (source, target), said in sorted(found.items()):
        yield f"{source} to {target}: {'; '.join(sorted(said))}."


def _frame() -> Iterator[str]:
    x, y, width, height = _FRAME_PLACE
    yield f'<rect class="frame" x="{x}" y="{y}" width="{width}" height="{height}" rx="12"/>'
    corner = f'x="{x + width - 12}" y="{y + 22}" text-anchor="end"'
    yield f'<text class="small" {corner}>in use here</text>'


def _state(state: str) -> Iterator[str]:
    x, y = _PLACES[state]
    left, top = x - _STATE_WIDTH // 2, y - _STATE_HEIGHT // 2
    yield (
        f'<rect class="state" x="{left}" y="{top}" width="{_STATE_WIDTH}" '
        f'height="{_STATE_HEIGHT}" rx="8"/>'
    )
    yield f'<text class="name" x="{x}" y="{y + 5}">{state}</text>'


def _arrow(
    arrow: Arrow, states: tuple[str, str], arrows: Mapping[tuple[str, str], frozenset[str]]
) -> Iterator[str]:
    yield f'<path class="arrow" d="{arrow.path}"/>'
    x, y = arrow.label
    lines = [*(["from any other state:"] if states[0] == ANY else []), *_lines(arrows[states])]
    for number, line in enumerate(lines):
        yield (
            f'<text x="{x}" y="{y + number * _LINE}" text-anchor="{arrow.anchor}">'
            f"{escape(line)}</text>"
        )


def _lines(said: Iterable[str]) -> Iterator[str]:
    """Yield one line for each event; the outcomes of attempts are on one line."""
    for event, whole in groupby(sorted(said), key=lambda text: text.partition(": ")[0]):
        outcomes = ", ".join(filter(None, (text.partition(": ")[2] for text in whole)))
        yield f"{event}:" if outcomes else event
        yield from wrap(outcomes, _LABEL_WIDTH)


if __name__ == "__main__":
    print(svg(), end="")  # noqa: T201 - a command prints
