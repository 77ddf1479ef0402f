"""Mails over a real SMTP server: with TLS, with STARTTLS, and refused without."""

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from adapters import alert_mails_smtp
from adapters.alert_mails_smtp import SmtpMails
from domain.alerts import AlertKind
from functions.alerts.formats.mail import mail_of
from functions.alerts.texts import notice_of
from functions.settings.alert_targets import Addresses
from ports.alert_transport import NotDeliveredError
from tests.functions.alerts.messages import EXAMPLES, LINK, with_texts
from tests.ports.scripted_server import Connection, Script, raw, serving, stall
from tests.system.certificates import server_certificate
from tests.system.loopback import free_port

PASSWORD = "not-a-real-password"
ADDRESSES = Addresses(
    sender="Keeper <keeper@example.com>", recipients=("ada@example.com", "bob@example.com")
)
MESSAGE = EXAMPLES[AlertKind.LOGIN_NEEDED]
MAIL = mail_of(MESSAGE, notice_of(MESSAGE), ADDRESSES)


class Inbox:
    """The handler of a server: it keeps what it accepts, and refuses some recipients."""

    def __init__(self, refuses: str = "nobody") -> None:
        self.envelopes: list[Envelope] = []
        self._refuses = refuses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self._refuses in address:
            return f"550 no such user, and {PASSWORD}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope
    ) -> str:
        if self._refuses in LINK:
            return f"554 listed: {LINK}"
        self.envelopes.append(envelope)
        return "250 OK"


def authenticate(*arguments: Any) -> AuthResult:
    login = arguments[-1]
    is_known = isinstance(login, LoginPassword) and login.password == PASSWORD.encode()
    return AuthResult(success=is_known, handled=False)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server for localhost, whose authority this process trusts."""
    context = server_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    return context


@contextmanager
def running(inbox: Inbox, tls: ssl.SSLContext | None, **options: Any) -> Iterator[int]:
    """Run a server; `tls` from the start, and `tls_context` for STARTTLS. Yield its port."""
    port = free_port()
    server = Controller(
        inbox, hostname="localhost", port=port, ssl_context=tls, ready_timeout=60, **options
    )
    server.start()
    try:
        yield port
    finally:
        server.stop()


def send(
    port: int, *, starttls: bool, password: str | None = None, host: str = "localhost"
) -> None:
    username = None if password is None else "keeper"
    mails = SmtpMails(host, port, starttls=starttls, username=username, password=password)
    asyncio.run(mails.send(MAIL))


def failure(
    port: int, *, starttls: bool, password: str | None = None, host: str = "localhost"
) -> str:
    with pytest.raises(NotDeliveredError) as caught:
        send(port, starttls=starttls, password=password, host=host)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def check(inbox: Inbox) -> None:
    (envelope,) = inbox.envelopes
    assert envelope.mail_from == "keeper@example.com"
    assert envelope.rcpt_tos == ["ada@example.com", "bob@example.com"]
    content = envelope.content
    assert isinstance(content, bytes)
    mail = message_from_bytes(content, EmailMessage, policy=policy.default)
    assert mail["subject"] == "Login required: google:alice"
    assert mail["message-id"] == f"<{MESSAGE.alert.id}@example.com>"
    assert LINK in mail.get_content()


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["anonymous", "with-password"])
def test_a_mail_arrives_over_tls(tls: ssl.SSLContext, password: str | None) -> None:
    inbox = Inbox()
    options = {"authenticator": authenticate, "auth_require_tls": False}
    with running(inbox, tls, **options) as port:
        send(port, starttls=False, password=password)
    check(inbox)


def test_a_mail_arrives_over_starttls(tls: ssl.SSLContext) -> None:
    inbox = Inbox()
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticate}
    with running(inbox, None, **options) as port:
        send(port, starttls=True, password=PASSWORD)
    check(inbox)


def test_a_server_without_starttls_gets_nothing() -> None:
    inbox = Inbox()
    with running(inbox, None) as port:
        assert "does not offer STARTTLS" in failure(port, starttls=True, password=PASSWORD)
    assert inbox.envelopes == []


def test_a_server_without_tls_gets_nothing() -> None:
    inbox = Inbox()
    with running(inbox, None) as port:
        assert "TLS: wrong version number" in failure(port, starttls=False)
    assert inbox.envelopes == []


def test_a_certificate_of_another_name_is_refused(tls: ssl.SSLContext) -> None:
    with running(Inbox(), tls) as port:
        said = failure(port, starttls=False, host="127.0.0.1")
    assert "IP address mismatch" in said


def test_an_unknown_authority_is_refused(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with running(Inbox(), None, tls_context=tls) as port:
        assert "self-signed certificate" in failure(port, starttls=True)


def test_a_wrong_password_is_named_as_that(tls: ssl.SSLContext) -> None:
    inbox = Inbox()
    options = {"authenticator": authenticate, "auth_require_tls": False}
    with running(inbox, tls, **options) as port:
        said = failure(port, starttls=False, password=PASSWORD[::-1])
    assert said.startswith("the mail server refuses username or password: 535")
    assert PASSWORD[::-1] not in said


def test_a_refused_recipient_costs_the_others_nothing(
    tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox(refuses="bob")
    with running(inbox, tls) as port, caplog.at_level(logging.WARNING):
        send(port, starttls=False)
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["ada@example.com"]]
    assert "refused 1 of the recipients" in caplog.text


def test_a_server_that_refuses_every_recipient_is_quoted(tls: ssl.SSLContext) -> None:
    options = {"authenticator": authenticate, "auth_require_tls": False}
    with running(Inbox(refuses="example"), tls, **options) as port:
        said = failure(port, starttls=False, password=PASSWORD)
    assert said == "the mail server refuses every recipient: 550 no such user, and …"


def test_a_server_that_refuses_the_login_link_is_quoted_without_it(tls: ssl.SSLContext) -> None:
    with running(Inbox(refuses="api/login"), tls) as port:
        assert failure(port, starttls=False) == "the mail server refuses: 554 listed: …"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(raw(b"554 go away\r\n"), "refuses: 554 go away", id="refuses"),
        pytest.param(raw(b""), "closed the connection", id="closes"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\n"), "refuses: -1", id="another-protocol"),
        pytest.param(stall, "no answer within 0.3 s", id="hangs"),
    ],
)
def test_a_server_that_is_none_is_named(
    script: Script, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_mails_smtp, "_LIMIT", 0.3 if script is stall else 10)
    with serving(script, reads=False) as server:
        port = int(server.endpoint.rpartition(":")[2].partition("/")[0])
        assert reason in failure(port, starttls=True, host="127.0.0.1")


def test_a_server_that_hangs_keeps_no_thread_of_others() -> None:
    async def run() -> None:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        # Lookups of names are made there: requests for tokens need them.
        loop.set_default_executor(ThreadPoolExecutor(max_workers=1))

        def hang(connection: Connection) -> None:
            loop.call_soon_threadsafe(arrived.set)
            stall(connection)

        with serving(hang, reads=False) as server:
            port = int(server.endpoint.rpartition(":")[2].partition("/")[0])
            mails = SmtpMails("127.0.0.1", port, starttls=True, username=None, password=None)
            sending = asyncio.create_task(mails.send(MAIL))
            await arrived.wait()
            await asyncio.to_thread(int)
            assert not sending.done()
            sending.cancel()
            await asyncio.wait({sending})

    asyncio.run(run())


def test_a_server_that_greets_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_mails_smtp, "_LIMIT", 0.3)
    left: list[OSError] = []

    def greet(connection: Connection) -> None:
        # Each line comes within the time limit of a step.
        try:
            for _ in range(400):
                connection.send(b"220-welcome\r\n")
                time.sleep(0.05)
        except OSError as error:
            left.append(error)

    with serving(greet, reads=False) as server:
        port = int(server.endpoint.rpartition(":")[2].partition("/")[0])
        assert failure(port, starttls=True, host="127.0.0.1") == "no answer within 0.3 s"
    assert left


def test_a_server_that_is_away_is_named() -> None:
    assert failure(1, starttls=False, host="127.0.0.1").startswith("no connection (Connection")


def test_a_hostile_text_adds_no_header_and_no_recipient(tls: ssl.SSLContext) -> None:
    inbox = Inbox()
    message = with_texts("x\r\nBcc: eve@example.com\r\n.\r\nMAIL FROM:<eve@example.com>")
    mail = mail_of(message, notice_of(message), ADDRESSES)
    with running(inbox, tls) as port:
        mails = SmtpMails("localhost", port, starttls=False, username=None, password=None)
        asyncio.run(mails.send(mail))
    (envelope,) = inbox.envelopes
    assert envelope.rcpt_tos == ["ada@example.com", "bob@example.com"]
    assert isinstance(envelope.content, bytes)
    assert message_from_bytes(envelope.content)["bcc"] is None
