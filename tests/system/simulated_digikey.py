"""A simulated Digi-Key as a process of its own, and a browser's part in a login there."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from select import select
from urllib.parse import urlencode, urljoin

import httpx

from tests.patience import PATIENCE
from tests.system.loopback import http

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDigiKeyPeer:
    """A running simulated Digi-Key, with the one client that is registered there."""

    address: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str

    @property
    def authorization_endpoint(self) -> str:
        """Where a login begins."""
        return f"{self.address}/v1/oauth2/authorize"

    @property
    def token_endpoint(self) -> str:
        """Where codes and refresh tokens are exchanged."""
        return f"{self.address}/v1/oauth2/token"

    @property
    def protected_endpoint(self) -> str:
        """Opens to an access token with an X-DIGIKEY-Client-Id."""
        return f"{self.address}/products/v4/search/example"

    def authorization_url(self, *, state: str) -> str:
        """Return the URL that a client sends a browser to."""
        request = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
        }
        return f"{self.authorization_endpoint}?{urlencode(request)}"

    def allow(self, authorization_url: str) -> str:
        """Open the page, press Allow, and return the callback URL with its code.

        Raises AssertionError when there is no such page, or no redirect.
        """
        return press(authorization_url, "allow")

    def deny(self, authorization_url: str) -> str:
        """Open the page, press Deny, and return the callback URL with its error.

        Raises AssertionError when there is no such page, or no redirect.
        """
        return press(authorization_url, "deny")

    def accepts(self, access_token: str) -> bool:
        """Whether the protected resource opens to the access token."""
        headers = {
            "authorization": f"Bearer {access_token}",
            "x-digikey-client-id": self.client_id,
        }
        return http.get(self.protected_endpoint, headers=headers).status_code == httpx.codes.OK

    def plan_faults(self, *faults: str) -> None:
        """Let the next token requests meet these faults, one each, after those planned before."""
        self._change({"faults": faults})

    def clear_faults(self) -> None:
        """Let the next token requests meet no fault."""
        self._change({"clear_faults": True})

    def set_lifetimes(self, **lifetimes: float) -> None:
        """Set the lifetime in seconds of each new `code`, `access_token` or `refresh_token`."""
        self._change({"lifetimes": lifetimes})

    def shift_clock(self, seconds: float) -> None:
        """Move the clock of the simulated Digi-Key on, or back."""
        self._change({"shift_clock": seconds})

    def reset_stats(self) -> None:
        """Count token requests from zero again."""
        self._change({"reset_statistics": True})

    def stats(self) -> dict[str, int]:
        """How many token requests were obeyed, by grant type, and how many `refused`."""
        settings = http.get(f"{self.address}/_control").raise_for_status().json()
        return {name: int(count) for name, count in settings["statistics"].items()}

    def _change(self, change: dict[str, object]) -> None:
        answer = http.post(f"{self.address}/_control", json=change)
        assert answer.status_code == httpx.codes.OK, answer.text


def press(authorization_url: str, button: str) -> str:
    """Open the page, press `allow` or `deny`, and return where that leads: the callback URL.

    Raises AssertionError when there is no such page, or no redirect.
    """
    page = http.get(authorization_url)
    assert page.status_code == httpx.codes.OK, page.text
    form = Form.read(page.text)
    assert ("decision", button) in form.buttons, page.text
    answer = http.post(
        urljoin(authorization_url, form.action), data={**form.fields, "decision": button}
    )
    assert answer.status_code == httpx.codes.FOUND, answer.text
    return answer.headers["location"]


class Form(HTMLParser):
    """The form of a page, as a browser understands it."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []

    @classmethod
    def read(cls, html: str) -> "Form":
        """The form of a page that has one."""
        form = cls()
        form.feed(html)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, an input or a button."""
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self.action = given["action"]
            case "input":
                self.fields[given["name"]] = given["value"]
            case "button":
                self.buttons.append((given.get("name", ""), given.get("value", "")))
            case _:
                pass


@contextmanager
def simulated_digikey(
    *,
    redirect_uri: str,
    client_id: str = "simulated-client",
    client_secret: str = "simulated-secret",
    state_path: Path | None = None,
    **lifetimes: float,
) -> Iterator[SimulatedDigiKeyPeer]:
    """Run a simulated Digi-Key on a free loopback port; lifetimes as in `set_lifetimes`."""
    command = [sys.executable, "-m", "infra.local.simulated", "--port", "0"]
    command += ["--client-id", client_id, "--client-secret", client_secret]
    command += ["--redirect-uri", redirect_uri]
    command += [] if state_path is None else ["--state", str(state_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            peer = SimulatedDigiKeyPeer(
                address=_first_line(process),
                client_id=client_id,
                client_secret=client_secret,
                redirect_uri=redirect_uri,
            )
            peer.set_lifetimes(**lifetimes)
            yield peer
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    ready, _, _ = select([process.stdout], [], [], PATIENCE.total_seconds())
    address = process.stdout.readline().strip() if ready else ""
    assert address, "the simulated Digi-Key did not start; stderr says why"
    return address
