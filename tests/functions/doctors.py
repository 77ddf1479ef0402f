"""The doctor as tests call it, and a deployment that it has nothing to say about."""

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from adapters.sealing import derive_key
from domain.grant import Grant
from functions.admin.doctor.command import diagnose
from functions.admin.doctor.findings import Finding, Level
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.conftest import environ_for
from tests.functions.grants import fresh
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ROOT = Path(__file__).resolve().parents[2]

Wrong = tuple[str, str]
"""How bad it is, and what it is about."""


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
    """Put a grant into the store, in the place of what is there; a fresh one unless told."""

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
    """All that the doctor says of an environment, and of a deployment that runs."""

    async def gather() -> list[Finding]:
        settings = Settings.from_environ(environ)
        found = diagnose(settings, live=live, api_key=environ.get("API_KEY"))
        return [finding async for finding in found]

    return asyncio.run(gather())


def wrong(found: Iterable[Finding]) -> list[Wrong]:
    """What is not as it should be."""
    return [(each.level.value, each.about) for each in found if each.level is not Level.OK]


def said(found: Iterable[Finding], about: str) -> str:
    """What is said of something that is not as it should be."""
    return " ".join(
        each.text for each in found if each.about == about and each.level is not Level.OK
    )


def run_doctor(environ: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in an environment without anything else."""
    done = subprocess.run(
        [sys.executable, "-m", "functions.admin", "doctor", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
        # It promises to end within a minute.
        timeout=90,
    )
    return done.returncode, done.stdout, done.stderr


def http_date(instant: datetime) -> str:
    """The header of a server whose clock shows that."""
    return f"Date: {instant:%a, %d %b %Y %H:%M:%S} GMT"
