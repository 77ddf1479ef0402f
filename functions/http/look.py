"""The look of every page: one style sheet, and states by colour, word and shape.

A column of 40 rem, the system's fonts, one accent colour, light and dark. Each pair of colours has
the contrast of WCAG 2.2 AA: 4.5 for text, 3 for controls and shapes.
"""

from collections.abc import Sequence
from enum import Enum
from html import escape

LIGHT = {
    "page": "#ffffff",
    "card": "#f6f8fa",
    "text": "#1f2328",
    "quiet": "#59636e",
    "line": "#d1d9e0",
    "edge": "#818b98",
    "accent": "#0550ae",
    "on-accent": "#ffffff",
    "good": "#116329",
    "busy": "#0550ae",
    "soon": "#7d4e00",
    "bad": "#a40e26",
    "over": "#59636e",
}
DARK = {
    "page": "#0d1117",
    "card": "#161b22",
    "text": "#e6edf3",
    "quiet": "#9198a1",
    "line": "#343b44",
    "edge": "#656c76",
    "accent": "#79c0ff",
    "on-accent": "#0d1117",
    "good": "#56d364",
    "busy": "#79c0ff",
    "soon": "#e3b341",
    "bad": "#ff938a",
    "over": "#9198a1",
}
"""The colours by name, as custom properties of CSS. Those of states have the names of `Tone`."""

_RULES = """
*{box-sizing:border-box}
html{background:var(--page);color:var(--text);-webkit-text-size-adjust:100%}
body{font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;max-width:40rem;
margin:0 auto;padding:1rem;overflow-wrap:anywhere}
header{display:flex;align-items:center;justify-content:space-between;gap:1rem;font-size:.875rem;
min-height:44px;margin-bottom:1.5rem;border-bottom:1px solid var(--line);padding-bottom:.5rem}
.corner{display:flex;align-items:center;gap:.75rem;min-width:0;white-space:nowrap}
.corner span{overflow:hidden;text-overflow:ellipsis}
header>:first-child{flex:none}
header,footer,.quiet,dt,th,caption{color:var(--quiet)}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem;font-size:.875rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1.125rem;line-height:1.3;margin:2rem 0 .75rem}
p,ul,ol,dl,pre,table,figure{margin:0 0 1rem}
ol,ul{padding-left:1.5rem}
a{color:var(--accent);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:.25rem}
form{margin:0}
button,.button,input{font:inherit;min-height:44px;border:1px solid var(--edge);
border-radius:.375rem;padding:.5rem 1rem}
button,.button{display:inline-flex;align-items:center;justify-content:center;background:var(--card);
color:var(--text);font-weight:500;text-decoration:none;cursor:pointer;max-width:100%}
button:hover,.button:hover{border-color:var(--text)}
.main{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
.danger{color:var(--bad);border-color:var(--bad)}
input{background:var(--page);color:var(--text);width:100%;padding:.5rem .75rem}
label{display:block;font-weight:500;margin-bottom:.25rem}
.actions{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;margin:0 0 1rem}
pre,.card{background:var(--card);border:1px solid var(--line);border-radius:.375rem;padding:.75rem}
.card{padding:.5rem 1rem 1rem;margin:0 0 1rem}
.card>:last-child,.note>:last-child{margin-bottom:0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875rem}
pre{white-space:pre-wrap}
dl{display:grid;grid-template-columns:10rem minmax(0,1fr);gap:.25rem 1rem}
dd{margin:0}
.rows{list-style:none;padding:0}
.head{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:center;gap:.25rem 1rem;
margin:0 0 .5rem}
.head h2{margin:0}
.head a{display:inline-flex;align-items:center;min-height:44px;font-weight:600}
.state{display:inline-flex;align-items:center;gap:.375rem;font-weight:600}
.state svg,.note svg{flex:none;width:1rem;height:1rem}
.note{border:1px solid;border-left-width:.375rem;border-radius:.375rem;padding:.75rem 1rem;
margin:0 0 1rem}
.note>:not(:first-child){color:var(--text)}
.note>:first-child:not(:last-child){margin-bottom:.5rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}
caption{text-align:left}
th{overflow-wrap:normal}
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;
border-bottom:1px solid var(--line)}
td:last-child{min-width:4.5rem}
svg{color:inherit}
.chart{width:100%;height:auto;display:block}
.chart text{fill:var(--quiet);font-size:12px}
.chart .axis{stroke:var(--line)}
.chart .later{fill:var(--quiet)}
.chart .now,.chart .expiry,.stroke{fill:none;stroke:var(--quiet);stroke-width:1.5}
.chart .expiry{stroke-dasharray:4 3}
.chart .stroke{stroke:currentColor;stroke-width:2.5}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.875rem;
margin:.5rem 0}
.legend svg{width:1rem;height:1rem;display:inline-block;vertical-align:-.125rem}
summary{min-height:44px;display:flex;align-items:center;cursor:pointer;font-weight:500}
summary::before{content:"+";width:1.5rem;font-weight:600}
details[open]>summary::before{content:"-"}
@media(max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}
.chart text{font-size:20px}
.actions form,.actions button,.actions .button{width:100%}}
@media(min-width:30.01rem){td:first-child{white-space:nowrap}}
"""


class Tone(Enum):
    """How a state stands; each has a colour and a shape of its own."""

    GOOD = "good"
    BUSY = "busy"
    # It works, and a person has to act before long.
    SOON = "soon"
    BAD = "bad"
    # It was ended, and nobody has to act.
    OVER = "over"


# In a square of 16, filled with the colour of the state; the inner stroke has that of the page.
_SHAPES = {
    Tone.GOOD: '<circle cx="8" cy="8" r="8"/><path class="in" d="M4 8.5 7 11.5 12 5"/>',
    Tone.BUSY: '<circle cx="8" cy="8" r="8"/><path class="in" d="M8 3.5V8L11 10"/>',
    Tone.SOON: '<path d="M8 0 16 15H0Z"/><path class="in" d="M8 5V9.5M8 11.5V13"/>',
    Tone.BAD: '<path d="M5 0H11L16 5V11L11 16H5L0 11V5Z"/>'
    '<path class="in" d="M5 5 11 11M11 5 5 11"/>',
    Tone.OVER: '<rect width="16" height="16" rx="3"/><path class="in" d="M4 8H12"/>',
}


def state_mark(tone: Tone, word: str) -> str:
    """Return the markup of a state: its shape and its word, in its colour. The word is escaped."""
    return f'<span class="state {tone.value}">{shape(tone)} {escape(word)}</span>'


def shape(tone: Tone) -> str:
    """Return the shape of a state as SVG. Its word has to stand next to it."""
    return f'<svg viewBox="0 0 16 16" aria-hidden="true">{_SHAPES[tone]}</svg>'


def note(tone: Tone, word: str, markup: str) -> str:
    """Return a box in the colour of a state, with markup in it."""
    return f'<div class="note {tone.value}"><p>{state_mark(tone, word)}</p>{markup}</div>'


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a list of names and values. The values are markup, the names are escaped."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>" if pairs else ""


def _properties(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def _tones() -> str:
    inner = "fill:none;stroke:var(--page);stroke-width:2"
    tones = "".join(f".{tone.value}{{color:var(--{tone.value})}}" for tone in Tone)
    return f"{tones}.state svg,.note svg,.chart .mark{{fill:currentColor}}.in{{{inner}}}"


STYLE = (
    f":root{{color-scheme:light dark;{_properties(LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_properties(DARK)}}}}}"
    f"{_RULES.replace(chr(10), '')}{_tones()}"
)
"""The style sheet of every page."""
