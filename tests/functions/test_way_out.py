"""Variables for proxies and certificates that are no use: said before anybody is sent to log in."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from domain.authorization import AuthorizationResponse
from functions.settings.settings import Settings, SettingsError
from functions.wiring import Wiring
from tests.functions.doctors import findings, healthy
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ELSEWHERE = {
    "AUTHORIZATION_ENDPOINT": "https://provider.invalid/authorize",
    "TOKEN_ENDPOINT": "https://provider.invalid/token",
}
UNUSABLE = [
    ("ALL_PROXY", "socks5h://name:pass-word@127.0.0.1:9"),
    ("HTTPS_PROXY", "htp://127.0.0.1:9"),
    ("SSL_CERT_FILE", "nowhere.pem"),
    ("SSL_CERT_DIR", "nowhere"),
]
_T = TypeVar("_T")
unusable = pytest.mark.parametrize(("name", "value"), UNUSABLE)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "fd00::/8,[::1]")


def run(environ: dict[str, str], work: Callable[[Wiring], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        wiring = Wiring(Settings.from_environ(environ))
        try:
            return await work(wiring)
        finally:
            await wiring.close()

    return asyncio.run(run())


@unusable
def test_a_login_does_not_begin_that_could_not_be_completed(
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    environ = healthy(running_digikey, tmp_path, **ELSEWHERE)
    begun = run(environ, lambda wiring: wiring.logins.begin("default"))
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} ") as raised:
        run(environ, lambda wiring: wiring.logins.begin("default"))
    assert "pass-word" not in str(raised.value)
    # One that came in between is not used up.
    response = AuthorizationResponse(state=begun.state, code="a-code", issuer=None)
    with pytest.raises(SettingsError, match=f"^{name} "):
        run(environ, lambda wiring: wiring.logins.complete(response))


@unusable
def test_what_no_request_needs_keeps_nobody_from_logging_in(
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    environ = healthy(running_digikey, tmp_path)
    assert run(environ, lambda wiring: wiring.logins.begin("default")).state


@unusable
def test_the_doctor_names_the_variable(
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    found = findings(healthy(running_digikey, tmp_path, **ELSEWHERE))
    assert any(f"no request is possible: {name} " in finding.text for finding in found)
