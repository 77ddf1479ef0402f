"""Alerts through the real library Apprise."""

import asyncio
from datetime import timedelta

import pytest

from adapters import alert_notes_apprise
from adapters.alert_notes_apprise import AppriseNotes
from ports.alert_transport import NotDeliveredError, PlainNote
from tests.ports.scripted_server import answer, serving, stall

# Of a library of its own.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

NOTE = PlainNote(title="Login required: google:alice", text="Open the link.\nhttps://x.example/l")


def send(url: str) -> None:
    asyncio.run(AppriseNotes(url).send(NOTE))


def test_a_service_gets_title_and_text() -> None:
    with serving(answer("200 OK", b"{}")) as server:
        send(server.endpoint.replace("http://", "json://"))
    (request,) = server.requests
    assert b"Login required: google:alice" in request.body
    assert b"https://x.example/l" in request.body


def test_a_service_that_refuses_is_an_error() -> None:
    with serving(answer("500 Oops", b"{}")) as server, pytest.raises(NotDeliveredError) as caught:
        send(server.endpoint.replace("http://", "json://user:not-a-real-password@"))
    assert "did not accept" in str(caught.value)
    assert "not-a-real" not in str(caught.value)


def test_an_unknown_service_is_an_error() -> None:
    with pytest.raises(NotDeliveredError, match="does not know this URL"):
        send("nothing-like-that://not-a-real-token")


def test_a_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_notes_apprise, "TIME_LIMIT", timedelta(seconds=0.3))
    with serving(stall) as server, pytest.raises(NotDeliveredError, match=r"within 0\.3 s"):
        # Its own limit lets the thread end.
        send(server.endpoint.replace("http://", "json://") + "?cto=1&rto=1")
