"""Unusable variables for proxies and certificates are reported before a login starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.authorization import AuthorizationResponse
from functions.login.logins import Logins
from functions.settings.settings import Settings, SettingsError
from functions.wiring import Wiring
from tests.functions.doctors import findings, healthy
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ELSEWHERE = {
    "AUTHORIZATION_ENDPOINT": "https://provider.invalid/authorize",
    "TOKEN_ENDPOINT": "https://provider.invalid/token",
}
pytestmark = pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5h://name:pass-word@127.0.0.1:9"),
        ("HTTPS_PROXY", "htp://127.0.0.1:9"),
        ("SSL_CERT_FILE", "nowhere.pem"),
        ("SSL_CERT_DIR", "nowhere"),
    ],
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "fd00::/8,[::1]")


@asynccontextmanager
async def logins_in(environ: dict[str, str]) -> AsyncIterator[Logins]:
    wiring = Wiring(Settings.from_environ(environ))
    try:
        yield wiring.client(None).logins
    finally:
        await wiring.close()


@pytest.mark.anyio
async def test_login_that_cannot_be_completed_does_not_start(
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    environ = healthy(running_digikey, tmp_path, **ELSEWHERE)
    async with logins_in(environ) as logins:
        begun = await logins.begin("default")
    monkeypatch.setenv(name, value)
    async with logins_in(environ) as logins:
        with pytest.raises(SettingsError, match=f"^{name} ") as raised:
            await logins.begin("default")
        assert "pass-word" not in str(raised.value)
        # One that started before is reported as well, and not used up.
        response = AuthorizationResponse(state=begun.state, code="a-code", issuer=None)
        for _ in range(2):
            with pytest.raises(SettingsError, match=f"^{name} "):
                await logins.complete(response)
    # A provider at a loopback address needs neither.
    async with logins_in(environ | healthy(running_digikey, tmp_path)) as logins:
        assert (await logins.begin("default")).state


def test_doctor_names_the_variable(
    running_digikey: SimulatedDigiKeyPeer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    found = findings(healthy(running_digikey, tmp_path, **ELSEWHERE))
    assert any(f"no request is possible: {name} " in finding.text for finding in found)
