"""Channels over HTTP: what a receiver gets, and what each of its answers means."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters import alert_posts_httpx
from domain.alerts import AlertKind
from functions.alerts.channel import (
    Channel,
    ChannelError,
    ChannelGoneError,
    ChannelTimeoutError,
)
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.alerts.messages import EXAMPLES, SECRET
from tests.functions.commands import environ_in
from tests.ports.scripted_server import Script, ScriptedServer, answer, raw, serving, stall

OTHER_SECRET = "whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtYW55Ym9keS1lbHNl"
MESSAGE = EXAMPLES[AlertKind.LOGIN_NEEDED]
TOKEN = "123:not-a-real-token-of-a-bot"
MAIL = {"from": "k@example.com", "to": "a@example.com"}
OK = answer("200 OK", b"ok")


def send(entry: Mapping[str, object], folder: Path) -> None:
    """Send an alert as a deployment does, with a channel of this entry."""

    async def run() -> None:
        environ = environ_in(folder, ALERTS=json.dumps([entry]))
        wiring = Wiring(Settings.from_environ(environ))
        channels: list[Channel] = [*wiring.alerting.channels]
        try:
            await channels[0].send(MESSAGE)
        finally:
            await wiring.close()

    asyncio.run(run())


@contextmanager
def receiver(script: Script, path: str = "/hooks/not-a-real-hook") -> Iterator[ScriptedServer]:
    """Serve a receiver of webhooks."""
    with serving(script) as server:
        server.endpoint = server.endpoint.replace("/token", path)
        yield server


def webhook(server: ScriptedServer, secret: str = SECRET) -> dict[str, object]:
    return {"kind": "webhook", "url": server.endpoint, "secret": secret}


def failure(entry: Mapping[str, object], folder: Path) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        send(entry, folder)
    # Neither the URL nor a token.
    assert "not-a-real" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_a_webhook_is_verified_by_the_library_with_each_secret(secret: str, tmp_path: Path) -> None:
    with receiver(answer("204 No Content")) as server:
        send(webhook(server, f"{SECRET} {OTHER_SECRET}"), tmp_path)
    (request,) = server.requests
    assert request.line == "POST /hooks/not-a-real-hook HTTP/1.1"
    headers = dict(request.headers)
    event = Webhook(secret).verify(request.body, headers)
    assert event["id"] == headers["webhook-id"] == MESSAGE.alert.id
    assert event["data"]["link"] == MESSAGE.link
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body + b" ", headers)


def test_the_timestamp_is_that_of_the_delivery_and_the_id_that_of_the_alert(
    tmp_path: Path,
) -> None:
    before = int(datetime.now(UTC).timestamp())
    with receiver(OK) as server:
        send(webhook(server), tmp_path)
        send(webhook(server), tmp_path)
    first, second = (dict(request.headers) for request in server.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert before <= int(first["webhook-timestamp"]) <= int(second["webhook-timestamp"])


CHATS = ["slack", "mattermost", "rocketchat", "google-chat", "discord", "teams"]


@pytest.mark.parametrize("kind", CHATS)
def test_a_chat_gets_json(kind: str, tmp_path: Path) -> None:
    with receiver(OK) as server:
        send({"kind": kind, "url": server.endpoint}, tmp_path)
    (request,) = server.requests
    assert dict(request.headers)["content-type"] == "application/json"
    assert "google:alice" in request.body.decode().replace("\\\\", "")


def test_ntfy_and_telegram_and_resend_get_their_credentials(tmp_path: Path) -> None:
    with receiver(OK, "") as server:
        url = server.endpoint
        send({"kind": "ntfy", "server": url, "topic": "t", "token": "tk_x"}, tmp_path)
        send({"kind": "telegram", "server": url, "token": TOKEN, "chat": 1}, tmp_path)
        send({"kind": "resend", "server": url, "api_key": "re_x", **MAIL}, tmp_path)
    ntfy, telegram, resend = server.requests
    assert (ntfy.line.split()[1], ntfy.all("authorization")) == ("/", ["Bearer tk_x"])
    assert telegram.line.split()[1] == f"/bot{TOKEN}/sendMessage"
    assert resend.line.split()[1] == "/emails"
    assert resend.all("idempotency-key") == [MESSAGE.alert.id]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(
            answer("302 Found", b"", "Location: https://evil.example/"), "redirect", id="302"
        ),
        pytest.param(
            answer("307 Temporary Redirect", b"", "Location: /there"), "redirect (307)", id="307"
        ),
        pytest.param(
            answer("400 Bad Request", b"invalid_payload"), "400: invalid_payload", id="400"
        ),
        pytest.param(answer("404 Not Found", b"no_service"), "status 404: no_service", id="404"),
        pytest.param(
            answer("403 Forbidden", b"at /hooks/not-a-real-hook"),
            "status 403: at …",
            id="quotes-url",
        ),
        pytest.param(answer("500 Oops", b"<b>" * 20_000), "status 500", id="endless-body"),
        pytest.param(raw(b"SSH-2.0-OpenSSH\r\n"), "RemoteProtocolError", id="another-protocol"),
        pytest.param(raw(b""), "RemoteProtocolError", id="closes"),
    ],
)
def test_any_other_answer_is_an_error_with_its_reason(
    script: Script, reason: str, tmp_path: Path
) -> None:
    with receiver(script) as server:
        error = failure(webhook(server), tmp_path)
    assert reason in str(error)
    assert not isinstance(error, ChannelGoneError)
    assert error.retry_after is None
    # A redirect is not followed.
    assert server.connections == 1


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"kind": "webhook", "secret": SECRET}, id="webhook"),
        *(pytest.param({"kind": kind}, id=kind) for kind in CHATS),
        pytest.param({"kind": "ntfy", "topic": "alerts-of-this-test"}, id="ntfy"),
        pytest.param({"kind": "telegram", "token": TOKEN, "chat": 1}, id="telegram"),
        pytest.param({"kind": "resend", "api_key": "re_x", **MAIL}, id="resend"),
    ],
)
def test_a_refusal_that_repeats_the_login_link_is_quoted_without_it(
    entry: Mapping[str, object], tmp_path: Path
) -> None:
    body = f"blocked: {MESSAGE.link}".encode()
    with receiver(answer("400 Bad Request", body), "") as server:
        place = "url" if entry["kind"] in {"webhook", *CHATS} else "server"
        error = failure({**entry, place: server.endpoint}, tmp_path)
    assert str(error) == "status 400: blocked: …"


def test_gone_ends_the_channel(tmp_path: Path) -> None:
    with receiver(answer("410 Gone", b"channel_is_archived")) as server:
        error = failure({"kind": "slack", "url": server.endpoint}, tmp_path)
    assert isinstance(error, ChannelGoneError)
    assert str(error) == "status 410: channel_is_archived"


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        pytest.param("429 Slow", b"", ["Retry-After: 30"], 30, id="header"),
        pytest.param("503 Away", b"", ["Retry-After: 120"], 120, id="503"),
        pytest.param("429 Slow", b'{"parameters": {"retry_after": 5}}', [], 5, id="telegram"),
        pytest.param("429 Slow", b'{"retry_after": 0.5}', [], 0.5, id="discord"),
        pytest.param("429 Slow", b"", ["Retry-After: 99999999"], 86400, id="at-most-a-day"),
        pytest.param("429 Slow", b'{"retry_after": Infinity}', [], None, id="infinity"),
        pytest.param("429 Slow", b'{"retry_after": -5}', [], None, id="negative"),
        pytest.param("429 Slow", b"[", ["Retry-After: soon"], None, id="unreadable"),
        pytest.param("400 Bad", b"", ["Retry-After: 30"], None, id="another-status"),
    ],
)
def test_a_channel_that_asks_to_wait_is_understood(
    status: str, body: bytes, headers: list[str], wait: float | None, tmp_path: Path
) -> None:
    with receiver(answer(status, body, *headers)) as server:
        error = failure(webhook(server), tmp_path)
    assert error.retry_after == (None if wait is None else timedelta(seconds=wait))


def test_a_receiver_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_posts_httpx, "TIME_LIMIT", timedelta(seconds=0.2))
    with receiver(stall) as server:
        error = failure(webhook(server), tmp_path)
    assert str(error) == "no answer within 0.2 s"
    assert isinstance(error, ChannelTimeoutError)


def test_a_receiver_that_is_away_is_named_as_that(tmp_path: Path) -> None:
    entry = {"kind": "slack", "url": "http://127.0.0.1:1/not-a-real-hook"}
    assert "ConnectError" in str(failure(entry, tmp_path))


def test_an_unusable_proxy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://proxy.example")
    error = failure({"kind": "slack", "url": "https://x.example/not-a-real-hook"}, tmp_path)
    assert str(error).startswith("https_proxy must be the URL of a proxy")


def test_resend_that_has_sent_it_before_has_it(tmp_path: Path) -> None:
    # The link in the text is another one at each delivery.
    entry = {"kind": "resend", "api_key": "re_x", **MAIL}
    refusal = b'{"name": "invalid_idempotent_request", "statusCode": 409}'
    with receiver(answer("409 Conflict", refusal), "") as server:
        send({**entry, "server": server.endpoint}, tmp_path)
    for other in (answer("409 Conflict", b"{}"), answer("400 Bad Request", refusal)):
        with receiver(other, "") as server:
            failure({**entry, "server": server.endpoint}, tmp_path)


def test_a_deployment_without_channels_has_none(tmp_path: Path) -> None:
    assert Wiring(Settings.from_environ(environ_in(tmp_path))).alerting.channels == ()
