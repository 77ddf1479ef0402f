"""A problem as a page: what happened, and what the person can do, who may not be the operator."""

from collections.abc import Mapping

from functions.http.messages import Response
from functions.http.pages import error_page, root_of
from functions.http.problems import Problem

_RELOAD = "Wait a minute, then reload this page."
_TELL = "You cannot correct this here. Send this page's text to the operator."
# For problems whose detail is for an author or operator. Those with `on_page` state it there.
_ADVICE: Mapping[str, str] = {
    "not-configured": _TELL,
    "provider-unavailable": _RELOAD,
    "record-unreadable": _TELL,
    "settings-unavailable": _RELOAD,
    "store-unavailable": _RELOAD,
    "too-many-failures": "Wait five minutes, then reload this page.",
}


def problem_page(
    found: Problem, *, request_id: str | None, leads_on_from: str | None = None
) -> Response:
    """Return the page of a problem.

    `leads_on_from`: the path from which it links to the first page; None for no link.
    """
    texts = [found.on_page] if found.on_page else [found.detail, _ADVICE.get(found.name, "")]
    return error_page(
        found.status,
        found.title,
        *filter(None, texts),
        request_id=request_id,
        first_page=None if leads_on_from is None else root_of(leads_on_from),
        headers=found.headers,
    )
