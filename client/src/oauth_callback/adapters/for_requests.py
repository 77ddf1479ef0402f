"""requests, and all that takes its sessions: python-gitlab, atlassian-python-api, gspread."""

from __future__ import annotations

from functools import partial

from oauth_callback.adapters.refusals import UNAUTHORIZED, newer_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import requests

    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token


def requests_auth(
    source: TokenSource,
) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return `auth=` for requests. After a 401 a request is sent once more, with another token."""
    return _Auth(source)


def requests_session(source: TokenSource) -> requests.Session:
    """Return a session with `requests_auth`."""
    import requests

    session = requests.Session()
    session.auth = requests_auth(source)
    return session


class _Auth:
    """Callable as `requests.auth.AuthBase` is, which checks nothing else."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._source.get()
        request.headers["Authorization"] = token.authorization
        position = _position(request.body)
        request.register_hook("response", partial(self._once_more, used=token, position=position))
        return request

    def _once_more(
        self,
        response: requests.Response,
        *,
        used: Token,
        position: int | None,
        **options: Any,  # noqa: ANN401 - requests passes on its own
    ) -> requests.Response:
        request = response.request
        # A redirect to another host has removed the token, and does not get a new one.
        has_token = request.headers.get("Authorization") == used.authorization
        if response.status_code != UNAUTHORIZED or not has_token or position is None:
            return response
        try:
            newer = newer_token(self._source, used)
        except BaseException:
            # Nobody gets the response, so nobody else closes its connection.
            response.close()
            raise
        if newer is None:
            return response
        again = request.copy()
        again.headers["Authorization"] = newer.authorization
        body: Any = again.body
        if hasattr(body, "seek"):
            body.seek(position)
        # Read it, so that its connection is free.
        _ = response.content
        response.close()
        answer: requests.Response = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer


def _position(body: object) -> int | None:
    """Return the start of a body, or None if it can be sent only once."""
    if body is None or isinstance(body, (str, bytes)):
        return 0
    try:
        return int(body.tell()) if hasattr(body, "seek") else None  # type: ignore[attr-defined]
    except OSError:
        return None
