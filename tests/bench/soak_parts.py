"""The parts that `make soak` and `make load` share: the provider, the variables, the logins."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from domain.grant import Authorized
from domain.tokens import Tokens
from ports.store import Store
from tests.bench.load import Target
from tests.records import record_of
from tests.system.deployment import opened_store

ROOT = Path(__file__).parents[2]
API_KEY = "not-a-real-api-key-of-anything"
CLIENT_SECRET = "a-client-secret-of-the-bench"
_AT_ONCE = 10
_Figures = TypeAdapter(dict[str, int])


async def figures_of(target: Target, path: str) -> dict[str, int]:
    """Ask a server of the bench for its counts."""
    _, body = await target.get(path)
    return _Figures.validate_json(body)


def environ_for(folder: Path, provider_port: int) -> dict[str, str]:
    """Return the variables of a deployment with this provider, over a file in the folder."""
    return {
        "CLIENT_ID": "a-client",
        "CLIENT_SECRET": CLIENT_SECRET,
        "API_KEY": API_KEY,
        "PROVIDER": "custom",
        "AUTHORIZATION_ENDPOINT": f"http://127.0.0.1:{provider_port}/authorize",
        "TOKEN_ENDPOINT": f"http://127.0.0.1:{provider_port}/token",
        "ROTATION": "always",
        "SQLITE_PATH": str(folder / "grants.sqlite"),
    }


async def log_in_all(
    environ: Mapping[str, str], *, connections: int, life: timedelta, are_expired: bool = False
) -> None:
    """Store a grant for each connection, through the application's own store.

    The logins are spread over a token's life, as real ones are, unless all `are_expired`.
    """
    now = datetime.now(UTC)
    async with opened_store(environ) as store:
        for start in range(0, connections, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, connections))
            ages = {n: life if are_expired else life * n / connections for n in numbers}
            await asyncio.gather(*(_log_in(store, n, now - age, life) for n, age in ages.items()))


async def _log_in(store: Store, number: int, at: datetime, life: timedelta) -> None:
    tokens = Tokens(
        generation=0,
        authorized_at=at,
        issued_at=at,
        access_token=f"first-{number}",
        token_type="Bearer",
        scope=None,
        expires_at=at + life,
        refresh_token=f"seed-{number}",
        refresh_token_expires_at=None,
    )
    record = record_of(Authorized(tokens=tokens), f"first-{number}")
    await store.swap(f"c{number}", record, expected_etag=None)


@contextmanager
def provider_running(*arguments: str) -> Iterator[int]:
    """Run the authorization server; return its port."""
    command = [sys.executable, "-m", "tests.bench.soak_provider", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
