"""How a page looks at one width: what is cut off, and what is too small to touch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COLUMN = 40 * 16
"""The widest column of text, in pixels."""
TARGET = 44
"""The least height of a button, in pixels (WCAG 2.2, 2.5.5)."""

LOOK = """() => {
    const name = element => {
        const text = (element.innerText || element.name || '').trim().slice(0, 40);
        return `${element.localName} “${text}”`;
    };
    const seen = [...document.body.querySelectorAll('*')].filter(each => each.checkVisibility());
    const box = element => element.getBoundingClientRect();
    const wide = document.documentElement.clientWidth;
    const controls = 'button, .button, input:not([type=hidden]), select, summary';
    return {
        width: wide,
        content_width: document.documentElement.scrollWidth,
        outside: seen.filter(each => box(each).right > wide + 1 || box(each).left < -1).map(name),
        small: seen.filter(each => each.matches(controls) && box(each).height < 44).map(name),
        lines: seen.filter(each => each.matches('p, li, dl, table')).map(each => box(each).width),
    };
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A page's measures in pixels, and the elements that miss them.

    `outside` are cut off, `small` are controls below `TARGET`, and `lines` are the widths of texts.
    """

    width: int
    content_width: int
    outside: Sequence[str]
    small: Sequence[str]
    lines: Sequence[float]

    def faults(self) -> Iterator[str]:
        """Return what a person would find wrong."""
        if self.content_width > self.width:
            yield f"scrolls sideways: {self.content_width} px of content"
        yield from (f"outside of the window: {element}" for element in self.outside)
        yield from (f"lower than {TARGET} px: {element}" for element in self.small)
        if max(self.lines, default=0) > COLUMN:
            yield f"wider than {COLUMN} px: a text of {max(self.lines)} px"
