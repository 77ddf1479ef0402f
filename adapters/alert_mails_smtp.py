"""Mails by SMTP (RFC 5321), always over TLS: from the start (RFC 8314), or by STARTTLS."""

import asyncio
import logging
import smtplib
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage

from adapters.alert_threads import AlertThreads
from adapters.failure_reasons import reason_of
from adapters.redaction import Redaction
from adapters.tls import tls_context
from ports.alert_transport import TIME_LIMIT, DeliveryTimeoutError, NotDeliveredError
from ports.network_settings import NetworkSettingsError

# RFC 5321 §4.1.3. The lookup of this machine's name may be slow, and servers need no name.
_OWN_NAME = "[127.0.0.1]"
# For each step; the whole has the same limit.
_LIMIT = TIME_LIMIT.total_seconds()

_log = logging.getLogger(__name__)


class SmtpMails:
    """Sends each mail on its own connection, in a thread."""

    def __init__(
        self, host: str, port: int, *, starttls: bool, username: str | None, password: str | None
    ) -> None:
        """Without `username`, the server is used without authentication."""
        self._host, self._port = host, port
        self._threads = AlertThreads()
        self._starttls = starttls
        self._login = None if username is None or password is None else (username, password)

    async def send(self, item: EmailMessage) -> None:
        """Send a mail to all of its recipients. Raises NotDeliveredError."""
        opened: list[smtplib.SMTP] = []
        try:
            async with asyncio.timeout(_LIMIT):
                await self._threads.run(lambda: self._send(item, opened.append))
        except TimeoutError as error:
            raise DeliveryTimeoutError(f"no answer within {_LIMIT:g} s") from error
        except NetworkSettingsError as error:
            raise NotDeliveredError(str(error)) from error
        except smtplib.SMTPException as error:
            # The server's text may repeat the password, or a login link.
            secrets = (*(self._login or ()), *_links_in(item))
            raise NotDeliveredError(_describe(error, Redaction(secrets))) from None
        except (OSError, UnicodeError) as error:
            raise NotDeliveredError(f"no connection ({reason_of(error)})") from error
        finally:
            # A thread cannot be cancelled. This ends its wait.
            for connection in opened:
                _shut_down(connection)

    def _send(self, mail: EmailMessage, opened: Callable[[smtplib.SMTP], None]) -> None:
        server = self._connect(opened)
        try:
            if self._starttls:
                _start_tls(server)
            if self._login is not None:
                server.login(*self._login)
            if refused := server.send_message(mail):
                # The other recipients have it: another delivery would repeat it there.
                _log.warning("the mail server refused %d of the recipients", len(refused))
            # The mail is accepted, also if this fails.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()

    def _connect(self, opened: Callable[[smtplib.SMTP], None]) -> smtplib.SMTP:
        if self._starttls:
            return _Smtp(self._host, self._port, opened)
        return _SmtpOverTls(self._host, self._port, opened)


def _describe(error: smtplib.SMTPException, redaction: Redaction) -> str:
    def quote(code: int, text: bytes | str) -> str:
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return f"{code} {redaction.quote(said)}"

    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            answers: Sequence[tuple[int, bytes]] = list(recipients.values())
            return f"the mail server refuses every recipient: {quote(*answers[0])}"
        case smtplib.SMTPAuthenticationError():
            answer = quote(error.smtp_code, error.smtp_error)
            return f"the mail server refuses username or password: {answer}"
        case smtplib.SMTPResponseException():
            return f"the mail server refuses: {quote(error.smtp_code, error.smtp_error)}"
        case smtplib.SMTPServerDisconnected():
            return "the mail server closed the connection"
        case _:
            return f"the mail server cannot be used ({type(error).__name__})"


def _links_in(mail: EmailMessage) -> Sequence[str]:
    return [word for word in str(mail.get_content()).split() if "://" in word]


def _start_tls(server: smtplib.SMTP) -> None:
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("starttls"):
        raise NotDeliveredError("the mail server does not offer STARTTLS, which is required")
    server.starttls(context=tls_context())


class _Smtp(smtplib.SMTP):
    """A connection that is handed over before it opens, so that its wait can be ended."""

    def __init__(self, host: str, port: int, opened: Callable[[smtplib.SMTP], None]) -> None:
        opened(self)
        super().__init__(host, port, local_hostname=_OWN_NAME, timeout=_LIMIT)


class _SmtpOverTls(smtplib.SMTP_SSL):
    """The same, over TLS from the start."""

    def __init__(self, host: str, port: int, opened: Callable[[smtplib.SMTP], None]) -> None:
        opened(self)
        super().__init__(
            host, port, local_hostname=_OWN_NAME, timeout=_LIMIT, context=tls_context()
        )


def _shut_down(connection: smtplib.SMTP) -> None:
    if (open_socket := connection.sock) is not None:
        # `ssl.SSLSocket.shutdown` would take the TLS away from the thread that reads.
        with suppress(OSError):
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
