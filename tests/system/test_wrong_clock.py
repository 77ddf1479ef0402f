"""A machine whose clock was wrong, and is put right: real processes, by libfaketime."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import httpx
import pytest

from tests.needs import cannot_run
from tests.system.guarded_process import guarded_process
from tests.system.loopback import free_port, http
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey
from tests.thorough import IS_THOROUGH

API_KEY = "an-api-key-of-the-tests-with-enough-of-characters"
AUTHORIZED = {"x-api-key": API_KEY}
JSON = {"accept": "application/json"}
# Longer than the life of an access token.
OVER = 31 * 60
# The simulation and the tests of the domain have clocks of every kind.
OFFSETS = (
    ["+3h", "+1d", "+4y", "-3h", "-1d", "-4y"] if IS_THOROUGH else ["+3h", "+4y", "-3h", "-4y"]
)
NAMES = ("asked", "refreshed", "anew", "replaced", "ended", "ended-before", "idle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A running server, and what one does with its connections."""

    url: str
    peer: SimulatedDigiKeyPeer

    def call(self, method: str, path: str, name: str, extra: str = "") -> httpx.Response:
        url = f"{self.url}/api/{path}?connection={name}{extra}"
        return http.request(method, url, headers=AUTHORIZED)

    def token(self, name: str) -> str:
        answer = self.call("GET", "token", name)
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    def begin(self, name: str, extra: str = "") -> str:
        answer = self.call("POST", "login", name, extra)
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["authorization_url"])

    def finish(self, authorization_url: str) -> httpx.Response:
        return http.get(self.peer.allow(authorization_url), headers=JSON)

    def log_in(self, name: str, extra: str = "") -> str:
        answer = self.finish(self.begin(name, extra))
        assert answer.status_code == httpx.codes.OK, answer.text
        assert "are stored" in answer.json()["detail"], answer.text
        return self.token(name)

    def link(self, name: str) -> str:
        return str(self.call("GET", "verify", name).json()["login"]["link"])

    def press(self, link: str) -> httpx.Response:
        """Press the button of a link."""
        url = httpx.URL(link)
        return http.post(f"{self.url}/api/login", data={"link": url.params["link"]})


@contextmanager
def keeper(environ: Mapping[str, str], peer: SimulatedDigiKeyPeer) -> Iterator[Keeper]:
    """Run the server over an environment until the end of the block."""
    url = environ["PUBLIC_URL"]
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "uvicorn", "functions.asgi:app", "--port", port]
    with guarded_process(command, is_ready=partial(_is_up, url), environ=environ):
        yield Keeper(url=url, peer=peer)


def _is_up(url: str, _pid: int) -> bool:
    try:
        return http.get(f"{url}/api/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def at(offset: str) -> dict[str, str]:
    """Return the variables that shift the wall clock of a process, and not the monotonic one."""
    return {
        "LD_PRELOAD": library(),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        # Else threads that wait keep a processor busy.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


@cache
def library() -> str:
    """Find libfaketime, or install it; skip the test where it cannot be had, and in CI fail it."""
    if not (found := _found()) and shutil.which("apt-get") and os.geteuid() == 0:
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "faketime"]):
            subprocess.run(["apt-get", *arguments], capture_output=True, check=False)
        found = _found()
    if not found:
        cannot_run("libfaketime is missing: apt-get install faketime")
    return found


def _found() -> str | None:
    places = (Path(folder) for folder in ("/usr/lib", "/usr/local/lib") if Path(folder).is_dir())
    found = (path for place in places for path in place.glob("**/libfaketime.so.1"))
    return next(map(str, found), None)


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_clock_that_was_wrong_and_is_put_right_costs_no_token_login_or_revocation(
    offset: str, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with simulated_digikey(redirect_uri=f"{url}/api/callback") as peer:
        environ = {
            **os.environ,
            "CLIENT_ID": peer.client_id,
            "CLIENT_SECRET": peer.client_secret,
            "API_KEY": API_KEY,
            "CRON_SECRET": API_KEY,
            "PROVIDER": "digikey",
            "AUTHORIZATION_ENDPOINT": peer.authorization_endpoint,
            "TOKEN_ENDPOINT": peer.token_endpoint,
            "PUBLIC_URL": url,
            "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
        }
        with keeper({**environ, **at(offset)}, peer) as wrong:
            old = {name: wrong.log_in(name) for name in NAMES}
            begun, link = wrong.begin("nobodys"), wrong.link("nobodys")
            assert wrong.call("POST", "revoke", "ended-before").status_code == httpx.codes.OK
        peer.shift_clock(OVER)
        with keeper(environ, peer) as right:
            served = right.token("asked")
            assert served != old["asked"]
            assert peer.accepts(served)

            before = peer.stats()["refresh_token"]
            refreshed = right.call("POST", "refresh", "refreshed")
            assert refreshed.status_code == httpx.codes.OK, refreshed.text
            assert peer.stats()["refresh_token"] == before + 1
            assert peer.accepts(right.token("refreshed"))

            assert peer.accepts(right.log_in("anew"))
            assert peer.accepts(right.log_in("replaced", "&replace=true"))

            unfinished = right.begin("ended")
            assert right.call("POST", "revoke", "ended").status_code == httpx.codes.OK
            assert right.finish(unfinished).status_code == httpx.codes.BAD_REQUEST
            assert peer.accepts(right.log_in("ended"))
            assert peer.accepts(right.log_in("ended-before"))

            swept = http.get(f"{url}/api/refresh", headers={"authorization": f"Bearer {API_KEY}"})
            is_far = offset.endswith("y")
            assert swept.json()["refreshed"] == is_far, swept.text
            assert peer.accepts(right.token("idle"))

            # A wrong clock does not make logins and links valid for years.
            assert right.finish(begun).status_code == httpx.codes.BAD_REQUEST
            assert right.press(link).status_code == (303 if offset == "-3h" else 400)
