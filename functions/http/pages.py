"""The frame of every HTML page, and the pages before and after a login."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape

from functions.http.look import STYLE, Tone, note
from functions.http.messages import Response

LOGIN_TARGETS = "'self' https: http://localhost:* http://127.0.0.1:*"
"""Where a form may lead that starts a login: browsers check every redirect after it as well."""

# With the header `no-referrer`, browsers send a form's origin as `null`; this restores it for those
# without Fetch Metadata.
_FORM_REFERRER = '<meta name="referrer" content="same-origin">'


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A form of one button and hidden fields. `kind` is `main`, `danger` or none of both."""

    text: str
    url: str
    fields: Mapping[str, str] = field(repr=False)
    kind: str = "main"

    def markup(self) -> str:
        """Return the form, with every text escaped."""
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in self.fields.items()
        )
        kind = f' class="{self.kind}"' if self.kind else ""
        return (
            f'<form method="post" action="{escape(self.url)}">{hidden}'
            f"<button{kind}>{escape(self.text)}</button></form>"
        )


def error_page(
    status: int,
    title: str,
    *paragraphs: str,
    request_id: str | None = None,
    first_page: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Make a page for an error: what happened, and what its reader can do.

    The operator finds the request in the log by its id. `first_page`: the URL to go on at.
    """
    on = (
        ""
        if first_page is None
        else f'<p><a class="button" href="{first_page}">To the first page</a></p>'
    )
    found = "" if request_id is None else f"<p>Request: <code>{escape(request_id)}</code></p>"
    return page_of(
        title,
        note(Tone.BAD, "This did not work", text_of(*paragraphs)) + on,
        status=status,
        footer=found,
        headers=headers,
    )


def actions(*buttons: Button) -> str:
    """Return the markup of buttons in a row."""
    return f'<div class="actions">{"".join(each.markup() for each in buttons)}</div>'


def text_of(*paragraphs: str) -> str:
    """Return the markup of paragraphs, each of them escaped."""
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)


def page_of(
    title: str,
    markup: str,
    *,
    status: int = 200,
    form_targets: str = "'none'",
    script: str = "",
    corner: str = "",
    footer: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Make a page of markup, whose texts must be escaped already; the title is escaped here.

    Its policy allows the one style sheet and the `script` by their hashes, and neither frames nor
    other sources. `form_targets`: where its forms lead, as in the policy; `'none'` without a form.
    `corner` is markup for the top, opposite the name of the software.
    """
    scripts = f"script-src {_hash_of(script)}; " if script else ""
    policy = (
        f"default-src 'none'; style-src {_hash_of(STYLE)}; {scripts}"
        f"base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'"
    )
    referrer = _FORM_REFERRER if form_targets != "'none'" else ""
    end = f"<footer>{footer}</footer>" if footer else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">{referrer}'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<header><span>oauth-callback</span>{corner}</header>"
        f"<main><h1>{escape(title)}</h1>{markup}</main>{end}"
        f"{f'<script>{script}</script>' if script else ''}</body></html>"
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


def root_of(path: str) -> str:
    """Return the relative URL of the first page, as seen from a path of this deployment.

    A relative one holds below any prefix that a proxy adds.
    """
    return "../" * (path.count("/") - 1) or "./"


def _hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
