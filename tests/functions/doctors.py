"""The doctor as tests call it, and a deployment without findings."""

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from adapters.sealing import derive_key
from domain.grant import Grant
from functions.admin.doctor import command
from functions.admin.doctor.command import diagnose
from functions.admin.doctor.findings import Finding, Level
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.commands import run_admin
from tests.functions.conftest import environ_for
from tests.functions.grants import fresh
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

Wrong = tuple[str, str]
"""The level and the subject of a finding."""


def encryption_key(name: str) -> str:
    """A key that nobody else has."""
    return b64encode(derive_key(name)).decode()


def healthy(
    provider: SimulatedDigiKeyPeer, store: Path | Mapping[str, str], **changes: str | None
) -> dict[str, str]:
    """An environment with nothing wrong, but for the changes; None takes a variable away."""
    keys = {"ENCRYPTION_KEYS": encryption_key("deployment")}
    given = {**environ_for(provider, store), **keys, **changes}
    return {name: value for name, value in given.items() if value is not None}


def keep(environ: Mapping[str, str], grant: Grant | None = None, name: str = "default") -> None:
    """Replace the stored grant, by a fresh one unless `grant` is given."""

    async def swap() -> None:
        store = Wiring(Settings.from_environ(environ)).store
        try:
            etag = (await store.load(name)).etag
            new = f"after {etag}"[:60]
            await store.swap(name, record_of(grant or fresh(), new), expected_etag=etag)
        finally:
            await store.close()

    asyncio.run(swap())


def findings(environ: Mapping[str, str], *, live: str | None = None) -> list[Finding]:
    """All findings about an environment, and about a running deployment."""

    async def gather() -> list[Finding]:
        settings = Settings.from_environ(environ)
        found = diagnose(settings, live=live, api_key=environ.get("API_KEY"))
        return [finding async for finding in found]

    return asyncio.run(gather())


def wrong(found: Iterable[Finding]) -> list[Wrong]:
    """The findings that are not ok."""
    return [(each.level.value, each.about) for each in found if each.level is not Level.OK]


def said(found: Iterable[Finding], about: str) -> str:
    """The text of the findings about a subject that are not ok."""
    return " ".join(
        each.text for each in found if each.about == about and each.level is not Level.OK
    )


def run_doctor(environ: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run the command. Its own time limit would end this process on a busy machine."""
    with patch.object(command, "_PROCESS_LIMIT", timedelta(minutes=10)):
        return run_admin(environ, "doctor", *arguments)


def http_date(instant: datetime) -> str:
    """The header of a server whose clock shows that."""
    return f"Date: {instant:%a, %d %b %Y %H:%M:%S} GMT"
