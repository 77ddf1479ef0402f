"""The HTML pages before and after a login."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape

from functions.http.messages import Response

_STYLE = (
    ":root{color-scheme:light dark}h1{font-size:1.5rem}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}"
)
# The form redirects to the provider: browsers check every redirect after it as well.
_FORM_TARGETS = "'self' https: http://localhost:* http://127.0.0.1:*"
# With the header `no-referrer`, browsers send a form's origin as `null`; this restores it for those
# without Fetch Metadata.
_FORM_REFERRER = '<meta name="referrer" content="same-origin">'


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A form of one button and hidden fields."""

    text: str
    url: str
    fields: Mapping[str, str] = field(repr=False)

    def markup(self) -> str:
        """Return the form, with every text escaped."""
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in self.fields.items()
        )
        return (
            f'<form method="post" action="{escape(self.url)}">{hidden}'
            f"<button>{escape(self.text)}</button></form>"
        )


def page(
    status: int,
    title: str,
    *paragraphs: str,
    button: Button | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Make a page of paragraphs, with every text escaped."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    if button is None:
        return page_of(title, text, status=status, headers=headers)
    return page_of(
        title,
        text + button.markup(),
        status=status,
        head=_FORM_REFERRER,
        form_targets=_FORM_TARGETS,
        headers=headers,
    )


def page_of(
    title: str,
    markup: str,
    *,
    status: int = 200,
    style: str = _STYLE,
    head: str = "",
    form_targets: str = "'none'",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Make a page of markup, whose texts must be escaped already; the title is escaped here.

    Its policy allows one style sheet by its hash, and neither scripts, frames nor other sources.
    """
    style_hash = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; "
        f"base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'"
    )
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{head}'
        f"<title>{escape(title)}</title><style>{style}</style>"
        f"<h1>{escape(title)}</h1>{markup}</html>"
    )
    return Response(
        status=status,
        content_type="text/html; charset=utf-8",
        body=body.encode(),
        headers=(
            ("content-security-policy", policy),
            # The page's own URL holds a code (RFC 9700 §4.2.4) or a link.
            ("referrer-policy", "no-referrer"),
            *headers,
        ),
    )
