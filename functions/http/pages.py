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
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
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
    """Make a page, with every text escaped."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{_FORM_REFERRER if button else ""}'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{text}{button.markup() if button else ''}</html>"
    )
    return Response(
        status=status,
        content_type="text/html; charset=utf-8",
        body=body.encode(),
        headers=(*_headers(_FORM_TARGETS if button else "'none'"), *headers),
    )


def _headers(form_targets: str) -> tuple[tuple[str, str], ...]:
    """Allow one style sheet by its hash, and neither scripts, frames nor other sources."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        f"base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'"
    )
    return (
        ("content-security-policy", policy),
        # The page's own URL holds a code (RFC 9700 §4.2.4) or a link.
        ("referrer-policy", "no-referrer"),
    )
