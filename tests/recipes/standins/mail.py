"""SMTP and IMAP with XOAUTH2, as far as a mail program asks: developers.google.com/gmail/imap."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler

Accepts = Callable[[str], bool]
_CAPABILITIES = "IMAP4rev1 SASL-IR AUTH=XOAUTH2"


@dataclass
class Mail:
    """The guard, and the names of what was done: `smtp`, `imap`, `message`."""

    accepts: Accepts
    seen: list[str] = field(default_factory=list)

    def is_login(self, sasl: str) -> bool:
        """Whether a SASL message of XOAUTH2 has an accepted token."""
        fields = base64.b64decode(sasl).decode().split("\x01")
        tokens = [each.removeprefix("auth=Bearer ") for each in fields if "auth=" in each]
        return any(map(self.accepts, tokens))


class _Lines(StreamRequestHandler):
    mail: Mail

    def say(self, line: str) -> None:
        """Send a line."""
        self.wfile.write(f"{line}\r\n".encode())

    def hear(self) -> str:
        """Return the next line, empty at the end."""
        return self.rfile.readline().decode().strip()


class Smtp(_Lines):
    """A session of RFC 5321 with RFC 4954."""

    def handle(self) -> None:
        """Answer until the end."""
        self.say("220 localhost ESMTP")
        while line := self.hear():
            command = line.split()[0].upper()
            if command == "EHLO":
                self.say("250-localhost")
                self.say("250 AUTH XOAUTH2")
            elif command == "AUTH":
                self._log_in(line.split())
            elif command == "DATA":
                self._take_message()
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def _log_in(self, words: list[str]) -> None:
        if len(words) == 2:
            self.say("334 ")
            words.append(self.hear())
        is_login = self.mail.is_login(words[2])
        self.mail.seen.append("smtp" if is_login else "refused")
        self.say("235 accepted" if is_login else "535 refused")

    def _take_message(self) -> None:
        self.say("354 go on")
        while self.rfile.readline().strip() != b".":
            pass
        self.mail.seen.append("message")
        self.say("250 queued")


class Imap(_Lines):
    """A session of RFC 3501 with an empty INBOX."""

    def handle(self) -> None:
        """Answer until the end."""
        self.say(f"* OK [CAPABILITY {_CAPABILITIES}] ready")
        while line := self.hear():
            tag, command, *words = line.split()
            for each in self._lines_of(command.upper(), words):
                self.say(each)
            if command.upper() == "AUTHENTICATE" and not self._log_in(words):
                self.say(f"{tag} NO refused")
                continue
            self.say(f"{tag} OK done")
            if command.upper() == "LOGOUT":
                return

    def _lines_of(self, command: str, words: list[str]) -> list[str]:
        match command:
            case "CAPABILITY":
                return [f"* CAPABILITY {_CAPABILITIES}"]
            case "LIST":
                return ['* LIST (\\HasNoChildren) "/" INBOX'] if words[-1] != '""' else []
            case "NAMESPACE":
                return ['* NAMESPACE (("" "/")) NIL NIL']
            case "SELECT" | "EXAMINE":
                flags = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)"
                numbers = "* OK [UIDVALIDITY 1] ok", "* OK [UIDNEXT 1] ok"
                return [flags, "* 0 EXISTS", "* 0 RECENT", *numbers]
            case "LOGOUT":
                return ["* BYE"]
            case _:
                return []

    def _log_in(self, words: list[str]) -> bool:
        if len(words) == 1:
            self.say("+ ")
            words.append(self.hear())
        is_login = self.mail.is_login(words[1])
        self.mail.seen.append("imap" if is_login else "refused")
        return is_login
