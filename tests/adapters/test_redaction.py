"""A quotation contains no secret, in any form in which a provider may repeat it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape, unescape
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.redaction import LONGEST_QUOTE, REMOVED, WINDOW, Redaction, tokens_in
from tests.thorough import times

SECRET = "s3cr3t-%+:/&<'\"é=Zz09~"

Form = Callable[[str], str]


def base64(text: str, shift: int = 0) -> str:
    return b64encode(b"id:"[:shift] + text.encode()).decode()


def lower_percent(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))


FORMS: dict[str, Form] = {
    "as it is": str,
    "upper": str.upper,
    "lower": str.lower,
    "percent": lambda text: quote(text, safe=""),
    "percent with slashes": quote,
    "percent in small letters": lower_percent,
    "every character percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "plus": quote_plus,
    "percent twice": lambda text: quote(quote_plus(text)),
    "html": escape,
    "html twice": lambda text: escape(escape(text)),
    "html numbers": lambda text: "".join(f"&#x{ord(each):x};" for each in text),
    "html decimal numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "json": lambda text: json.dumps(text)[1:-1],
    "json numbers": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "json slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps({"x": text})),
    "base64": base64,
    "base64 in small letters": lambda text: base64(text).lower(),
    "base64 shifted": lambda text: base64(text, 1),
    "base64 shifted by two": lambda text: base64(text, 2),
    "basic": lambda text: f"Basic {base64(quote_plus(text), 3)}",
    "basic, raw": lambda text: f"Basic {base64(text, 3)}",
    "base64 for urls": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in percent": lambda text: quote_plus(base64(text, 2)),
    "base64 twice": lambda text: base64(base64(text)),
    "base64 of percent": lambda text: base64(quote_plus(text)),
    "backwards": lambda text: text[::-1],
    "in lines": lambda text: "\r\n".join(text[i : i + 5] for i in range(0, len(text), 5)),
    "with spaces": " ".join,
    "base64 in lines": lambda text: "\n".join(re.findall(".{1,7}", base64(text, 1))),
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
# RFC 6749 appendix A; and other characters in providers' tokens.
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=80)
foreign = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["C", "Z"]),
    min_size=12,
    max_size=40,
)


def bare(text: str) -> str:
    return "".join(text.casefold().split())


def shows(text: str, secret: str) -> bool:
    """Whether the text shows a part of the secret, as it is or decoded once or twice."""
    readings = {text, unquote(text), unescape(text), unquote(unescape(unquote(text)))}
    windows = {bare(secret)[i : i + WINDOW] for i in range(len(bare(secret)) - WINDOW + 1)}
    return any(window in bare(reading) for reading in readings for window in windows)


@forms
@pytest.mark.parametrize("text", ["{0}", "bad secret {0} sent", "{0}{0}", "x={0}&y=1", '"{0}",'])
def test_a_secret_is_not_quoted_in_any_form(form: Form, text: str) -> None:
    quoted = Redaction([SECRET]).quote(text.format(form(SECRET)))
    assert REMOVED in quoted
    assert not shows(quoted, SECRET)
    assert form(SECRET) not in quoted


@forms
@settings(max_examples=times(25))
@given(secret=secrets, before=st.sampled_from(["", "bad ", "x", "k="]), after=st.text(max_size=9))
def test_no_secret_of_any_characters_is_quoted(
    form: Form, secret: str, before: str, after: str
) -> None:
    quoted = Redaction([secret]).quote(before + form(secret) + after)
    assert not shows(quoted, secret)


@pytest.mark.parametrize(
    "name", [n for n in FORMS if n not in {"upper", "lower", "base64 in small letters"}]
)
@settings(max_examples=times(10))
@given(secret=foreign)
def test_no_secret_of_foreign_characters_is_quoted(name: str, secret: str) -> None:
    assert not shows(Redaction([secret]).quote(f"bad {FORMS[name](secret)} sent"), secret)


@settings(max_examples=times(300))
@given(
    secret=secrets,
    form=st.sampled_from(
        [FORMS[n] for n in ("as it is", "percent", "plus", "html", "json", "base64", "upper")]
    ),
    data=st.data(),
)
def test_no_part_of_a_secret_that_was_cut_is_quoted(
    secret: str, form: Form, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(secret) - WINDOW))
    part = secret[begin : data.draw(st.integers(begin + WINDOW, len(secret)))]
    quoted = Redaction([secret]).quote(f"the token {form(part)}... is bad")
    assert not shows(quoted, part)


@forms
def test_the_text_around_a_secret_is_kept(form: Form) -> None:
    quoted = Redaction(["another-secret-of-somebody"]).quote(f"no {form('x')} is here")
    assert quoted.startswith("no ")
    kept = Redaction([SECRET]).quote(f"The secret {quote_plus(SECRET)} is wrong.")
    assert kept == f"The secret {REMOVED} is wrong."


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
def test_a_short_secret_is_found_as_a_whole_unless_it_is_in_everything(length: int) -> None:
    secret = "qxzjkvw"[:length]
    quoted = Redaction([secret]).quote("the secret QXZJKVW is wrong")
    assert (REMOVED in quoted) is (length >= 3)


def test_plain_words_are_quoted_unchanged() -> None:
    text = "AADSTS700082: The refresh token has expired due to inactivity (90.00:00:00)."
    redaction = Redaction(["rt.1.AAAAabcdefghijklmnop", SECRET])
    assert redaction.quote(text) == text
    assert not redaction.reveals("invalid_grant")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("two\r\nlines\tand\x1b[2J", "two lines and [2J"),
        ("a\u202eb\u0085c", "a b c"),
        ("x" * 400, "x" * LONGEST_QUOTE),
        ("  ", ""),
    ],
)
def test_a_quotation_is_one_printable_line_and_not_long(text: str, quoted: str) -> None:
    assert Redaction([SECRET]).quote(text) == quoted


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"access_token": "abcdefghijklmnop", "error": "x"}', ["abcdefghijklmnop"]),
        (b"refresh_token=abcdefghijklmnopq&error=x", ["abcdefghijklmnopq"]),
        (b'{"message": "{\\"id_token\\":\\"abcdefghijklmnop\\"}"}', ["abcdefghijklmnop"]),
        (b"tokenDigest=abcdefghijklmnop=, Exception", ["abcdefghijklmnop="]),
        (b'{"error_description": "The refresh token: is invalid"}', []),
        (b"\xff\xfe", []),
        # Each is fast.
        (b"token" * 13_000, []),
        (b"token" + b" " * 60_000, []),
        (b"token=abcdefghijklmnop " * 2_000, ["abcdefghijklmnop"] * 8),
    ],
)
def test_tokens_of_a_refusal_are_found(body: bytes, found: list[str]) -> None:
    assert tokens_in(body) == found


@given(text=st.text(max_size=300), secret=st.text(max_size=40))
def test_any_text_can_be_quoted(text: str, secret: str) -> None:
    quoted = Redaction([secret]).quote(text)
    assert len(quoted) <= LONGEST_QUOTE
    assert "\n" not in quoted


def test_a_text_that_can_be_read_in_very_many_ways_is_not_quoted() -> None:
    layered = "".join(chr(33 + n % 90) for n in range(2_000))
    for _ in range(3):
        layered = quote(base64(layered))[:2_000]
    assert Redaction([SECRET]).quote(layered) == REMOVED
