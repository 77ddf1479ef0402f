"""A simulated provider's pages: plain HTML, no scripts, no external resources."""

from collections.abc import Mapping
from html import escape

from functions.http.look import STYLE
from functions.http.messages import Response

# No form-action: browsers also apply it to the redirect after the form.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)

# Next to the look of the deployment's own pages, from which the notice sets these apart.
_STYLE = f"""{STYLE}
.notice {{ background: #fd6; color: #222; margin: -1rem -1rem 2rem; padding: .6rem 1rem; }}
label {{ display: grid; grid-template-columns: minmax(0, 1fr) 12rem; margin: .6rem 0; }}
label {{ align-items: center; gap: .25rem 1rem; max-width: 36rem; font-weight: inherit; }}
select {{ font: inherit; min-height: 44px; padding: .5rem; max-width: 100%; }}
button {{ margin: 0 .75rem 1rem 0; }}
.life {{ display: block; height: .25rem; background: var(--accent); }}
.life {{ transform-origin: left; animation: spend linear both; }}
@keyframes spend {{ to {{ transform: scaleX(0); }} }}
@media (max-width: 30rem) {{ label {{ grid-template-columns: minmax(0, 1fr); }} }}
"""

_NOTICE = (
    '<aside class="notice" aria-label="Simulation"><strong>A simulation, for development only.'
    "</strong> This is not the provider itself: no account, password or data there is involved."
    "</aside>"
)


def authorization_page(
    *, title: str, action: str, client_id: str, redirect_uri: str, fields: Mapping[str, str]
) -> str:
    """Return the page that asks the person. Its form repeats the request's parameters."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return page(
        f"Allow access to your simulated {title} account?",
        f"""<p>The application <code>{escape(client_id)}</code> asks for it.
Either answer brings you back to <code>{escape(redirect_uri)}</code>.</p>
<form method="post" action="{escape(action)}">{hidden}
<button class="main" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>""",
    )


def error_page(title: str, detail: str) -> str:
    """Return a page for an error."""
    return page(title, f"<p>{escape(detail)}</p>")


def page_response(status: int, html: str) -> Response:
    """Return a response for a page, with a policy that forbids external resources."""
    return Response(
        status=status,
        content_type="text/html; charset=utf-8",
        body=html.encode(),
        headers=(("content-security-policy", _PAGE_POLICY), ("referrer-policy", "no-referrer")),
    )


def page(title: str, body: str) -> str:
    """Return a page with the notice that it is a simulation."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} (simulation)</title><style>{_STYLE}</style>"
        f"<body>{_NOTICE}<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
