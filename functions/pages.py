"""The page a person sees in the browser at the end of a login."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from functions.messages import Response

_STYLE = (
    ":root{color-scheme:light dark}h1{font-size:1.5rem}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
# One style sheet, known by its hash; no script, no frame, nothing from elsewhere.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("content-security-policy", _POLICY),
    # The page's own URL holds the code (RFC 9700 §4.2.4).
    ("referrer-policy", "no-referrer"),
)


def page(
    status: int, title: str, *paragraphs: str, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Make a page; every text is escaped here."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{text}</html>"
    )
    return Response(
        status=status,
        content_type="text/html; charset=utf-8",
        body=body.encode(),
        headers=(*_HEADERS, *headers),
    )
