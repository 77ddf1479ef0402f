"""A simulated provider's pages: plain HTML, no scripts, no external resources."""

from collections.abc import Mapping
from html import escape

from functions.http.messages import Response

# No form-action: browsers also apply it to the redirect after the form.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --accent: #06c; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: auto; padding: 0 1rem; }
.notice { background: #fd6; color: #222; margin: 0 -1rem 2rem; padding: .6rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; }
tr { border-bottom: 1px solid var(--line); }
label { display: grid; grid-template-columns: minmax(0, 1fr) 12rem; margin: .6rem 0; }
label { align-items: center; gap: 1rem; max-width: 36rem; }
input, select { font: inherit; padding: .3rem .5rem; width: 12rem; max-width: 100%; }
button { font: inherit; padding: .5rem 1.4rem; border: 1px solid var(--line); }
button { border-radius: .3rem; cursor: pointer; margin-right: .75rem; }
button.main { background: var(--accent); border-color: var(--accent); color: #fff; }
.life { display: block; height: .25rem; background: var(--accent); }
.life { transform-origin: left; animation: spend linear both; }
@keyframes spend { to { transform: scaleX(0); } }
"""

_NOTICE = (
    '<p class="notice"><strong>A simulation, for development only.</strong> '
    "This is not the provider itself: no account, password or data there is involved.</p>"
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
        f"<body>{_NOTICE}<h1>{escape(title)}</h1>{body}</body></html>"
    )
