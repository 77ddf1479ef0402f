"""The look of the pages: contrast, sizes, and states that need no colour."""

import re

import pytest

from functions.http.look import DARK, LIGHT, STYLE, Tone, shape, state_mark
from functions.http.pages import page_of

# WCAG 2.2, 1.4.3 (text) and 1.4.11 (the edges of controls).
FOR_TEXT, FOR_EDGES = 4.5, 3.0
TEXTS = ("text", "quiet", "accent", *(tone.value for tone in Tone))


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "card"])
def test_every_colour_has_the_contrast_of_wcag_aa(colours: dict[str, str], ground: str) -> None:
    assert colours.keys() == LIGHT.keys()
    for name in TEXTS:
        assert contrast(colours[name], colours[ground]) >= FOR_TEXT, name
    assert contrast(colours["on-accent"], colours["accent"]) >= FOR_TEXT
    assert contrast(colours["edge"], colours[ground]) >= FOR_EDGES


def test_style_uses_no_colour_but_these() -> None:
    named = set(LIGHT.values()) | set(DARK.values())
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", STYLE)) == named
    used = set(re.findall(r"var\(--([a-z-]+)\)", STYLE))
    assert used == LIGHT.keys()
    assert STYLE.count("{") == STYLE.count("}")


def test_states_differ_in_shape_and_word() -> None:
    assert len({shape(tone) for tone in Tone}) == len(Tone)
    mark = state_mark(Tone.BAD, "<b>login</b> & more")
    assert "&lt;b&gt;login&lt;/b&gt; &amp; more" in mark
    assert 'aria-hidden="true"' in mark


def test_policy_allows_the_style_and_the_script_of_the_page_only() -> None:
    policies = [
        dict(page_of("Title", "", script=script).headers)["content-security-policy"]
        for script in ("", "alert(1)")
    ]
    assert "script-src" not in policies[0]
    assert re.search(r"script-src 'sha256-[^' ]+';", policies[1])
    assert all(policy.startswith("default-src 'none'; style-src 'sha256-") for policy in policies)
