"""A deployment whose clock stands still, with a connection in each state.

Its pages have the same text each time, so that pictures of them can be compared. It is a process of
its own, because its clock is patched:

python -m tests.browser.showcase PORT FOLDER PROVIDER

It serves https://keeper.example at a loopback port. PROVIDER is a simulated Digi-Key's address.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select

import uvicorn

from adapters.clock_system import SystemClock
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Revoked,
    Unauthorized,
)
from domain.ledger import DONE, FAILED, TOKENS, Entry, HistoryEvent, Ledger
from domain.token_endpoint import RevocationResult
from domain.tokens import Tokens
from functions.alerts.deployment import DEPLOYMENT
from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.settings.api_keys import digest_of
from functions.settings.settings import Settings
from functions.wiring import Wiring
from infra.local.listener import loopback_listener
from tests.patience import PATIENCE
from tests.records import record_of
from tests.system.certificates import server_certificate
from tests.system.simulated_digikey import simulated_digikey

ROOT = Path(__file__).parents[2]
HOST = "keeper.example"
ADDRESS = f"https://{HOST}"
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
KEY = "the-key-of-the-owner-for-everything"
OPERATOR_KEY = "the-key-of-the-operator-on-duty"
"""A key for the connections that are there from the start: what it sees, no login changes."""
ONE_KEY = "the-key-of-a-job-for-one-connection"
"""A key that may get the token of one connection, and nothing else."""

LONG = f"dropbox:{'0123456789' * 5}"
"""A connection whose texts are as long as they may be, and have no place to break."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_READY = "ready"
_SECRET = "not-a-real-secret"
_CLIENTS = {
    "google": {"scope": "https://www.googleapis.com/auth/calendar.readonly"},
    "books": {"provider": "quickbooks", "scope": "com.intuit.quickbooks.accounting"},
    "xero": {"scope": "offline_access accounting.transactions"},
    "dropbox": {},
}
_REDIRECT_URI = f"{ADDRESS}/api/callback/digikey"
_ENVIRON = {
    "API_KEYS": json.dumps(
        [
            {"name": "owner", "sha256": digest_of(KEY.encode()).hex()},
            {
                "name": "operator",
                "sha256": digest_of(OPERATOR_KEY.encode()).hex(),
                "connections": ["books", "digikey", "dropbox", "google", "google:*", "xero"],
            },
            {
                "name": "calendar-job",
                "sha256": digest_of(ONE_KEY.encode()).hex(),
                "connections": ["google:ada"],
                "endpoints": ["token", "verify"],
            },
        ]
    ),
    "ENCRYPTION_KEYS": "c2hvd2Nhc2Utc2hvd2Nhc2Utc2hvd2Nhc2UtMDAwMDA=",
    "PUBLIC_URL": ADDRESS,
}


def _clients(provider: str) -> str:
    endpoints = {
        "authorization_endpoint": f"{provider}/v1/oauth2/authorize",
        "token_endpoint": f"{provider}/v1/oauth2/token",
    }
    return json.dumps(
        {
            name: {"client_id": f"client-of-{name}", "client_secret": _SECRET, **members}
            for name, members in {**_CLIENTS, "digikey": endpoints}.items()
        }
    )


def _tokens(*, age: timedelta, lives: timedelta, lasts: timedelta, generation: int) -> Tokens:
    """Tokens that came so long ago. They are fresh for so long, and refreshable for `lasts`."""
    return Tokens(
        generation=generation,
        authorized_at=NOW - 28 * DAY,
        issued_at=NOW - age,
        access_token="shown-to-nobody",
        token_type="Bearer",
        scope=None,
        expires_at=NOW - age + lives,
        refresh_token="shown-to-nobody-either",
        refresh_token_expires_at=NOW - age + lasts,
    )


_DIGIKEY = _tokens(age=11 * HOUR / 60, lives=HOUR / 2, lasts=90 * DAY, generation=212)
_GOOGLE = replace(
    _tokens(age=2 * DAY, lives=HOUR, lasts=180 * DAY, generation=3),
    account="ada@lovelace.example",
    scope="https://www.googleapis.com/auth/calendar.readonly",
)
_BOOKS = replace(
    _tokens(age=HOUR / 4, lives=HOUR, lasts=100 * DAY, generation=40),
    refresh_token_expires_at=NOW + 6 * DAY,
    login_expires_at=NOW + 6 * DAY,
)


def _grants() -> Mapping[str, Grant]:
    return {
        "books": Authorized(tokens=_BOOKS),
        "digikey": Authorized(tokens=_DIGIKEY),
        "dropbox": Revoked(at=NOW - 3 * DAY, result=RevocationResult.REVOKED),
        "google:ada": AuthorizationRequired(
            tokens=_GOOGLE,
            cause=Cause.REFRESH_TOKEN_REJECTED,
            client="client-of-google",
            since=NOW - 5 * HOUR,
            quote="invalid_grant: Token has been expired or revoked.",
        ),
        LONG: AuthorizationRequired(
            tokens=replace(_GOOGLE, account="a" * 200, scope="s" * 300),
            cause=Cause.REFRESH_TOKEN_REJECTED,
            client="client-of-dropbox",
            since=NOW - 5 * HOUR,
            quote="q" * 300,
        ),
        "google:grace": Authorized(tokens=replace(_GOOGLE, account=None, expires_at=NOW + HOUR)),
        "xero": Authorized(
            tokens=_tokens(age=HOUR, lives=HOUR / 2, lasts=60 * DAY, generation=7),
            failure_state=FailureState(
                failures=3,
                failure=Failure.UNAVAILABLE,
                at=NOW - HOUR / 15,
                retry_at=NOW + HOUR / 30,
                in_doubt_since=None,
                quote="503 Service Unavailable",
                since=NOW - HOUR / 3,
            ),
        ),
    }


def _history(name: str) -> Ledger:
    """A login four weeks ago, refreshes since, and how it went on."""
    refreshes = [
        Entry(NOW - days * DAY - HOUR, HistoryEvent.REFRESH, 30 - days, "sweep", TOKENS)
        for days in range(24, 3, -3)
    ]
    ends = {
        "digikey": [
            _failure(Failure.UNAVAILABLE, 9 * HOUR, "503 Service Unavailable"),
            Entry(NOW - 11 * HOUR / 60, HistoryEvent.REFRESH, 212, "kicad", TOKENS),
        ],
        "google:ada": [
            Entry(
                NOW - 5 * HOUR,
                HistoryEvent.REFRESH_REFUSED,
                3,
                "calendar-job",
                Cause.REFRESH_TOKEN_REJECTED.value,
                "invalid_grant: Token has been expired or revoked.",
            )
        ],
        LONG: [
            Entry(
                NOW - HOUR,
                HistoryEvent.REFRESH_REFUSED,
                3,
                "k" * 64,
                Cause.REFRESH_TOKEN_REJECTED.value,
                "q" * 120,
            )
        ],
        "dropbox": [Entry(NOW - 3 * DAY, HistoryEvent.REVOKED, 9, "operator", DONE)],
        "xero": [
            _failure(Failure.UNAVAILABLE, minutes * HOUR / 60, "503 Service Unavailable")
            for minutes in (20, 12, 4)
        ],
    }
    login = Entry(NOW - 28 * DAY, HistoryEvent.LOGIN, 0, None, TOKENS)
    return (login, *refreshes, *ends.get(name, []))


def _failure(failure: Failure, ago: timedelta, quote: str) -> Entry:
    event = HistoryEvent.REFRESH_FAILED
    return Entry(NOW - ago, event, 211, "kicad", failure.value, quote)


_DEPLOYMENT: Ledger = (
    Entry(NOW - 4 * HOUR, HistoryEvent.SWEPT, None, None, DONE),
    Entry(NOW - 5 * HOUR, HistoryEvent.DELIVERED, None, "owner", DONE),
    Entry(NOW - 5 * HOUR, HistoryEvent.DELIVERED, None, "slack", FAILED),
)


async def _fill(settings: Settings) -> None:
    wiring = Wiring(settings)
    for name, grant in _grants().items():
        record = record_of(grant, "first", _history(name))
        await wiring.store.swap(name, record, expected_etag=None)
    own = record_of(Unauthorized(), "first", _DEPLOYMENT)
    await wiring.store.swap(DEPLOYMENT, own, expected_etag=None)
    await wiring.close()


def main(port: int, folder: Path, provider: str) -> None:
    """Serve until the process ends."""
    setattr(SystemClock, "now", lambda _: NOW)  # noqa: B010 - a method of another module
    environ = {"CLIENTS": _clients(provider), "SQLITE_PATH": str(folder / "grants.sqlite")}
    settings = Settings.from_environ(_ENVIRON | environ)
    asyncio.run(_fill(settings))
    server_certificate(folder, HOST)
    listener = loopback_listener(port)
    # From here on, connections wait in the listener until the server accepts them.
    print(_READY, flush=True)  # noqa: T201 - for the process that waits
    config = uvicorn.Config(
        Application(ALL_ROUTES, lambda: settings),
        log_config=None,
        ssl_certfile=folder / "certificate.pem",
        ssl_keyfile=folder / "key.pem",
    )
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def showcase(port: int, folder: Path) -> Iterator[str]:
    """Run the deployment as a process, until the end of the block. Yield its provider's address."""
    with ExitStack() as stack:
        provider = stack.enter_context(
            simulated_digikey(
                redirect_uri=_REDIRECT_URI,
                client_id="client-of-digikey",
                client_secret=_SECRET,
            )
        )
        command = [sys.executable, "-m", "tests.browser.showcase", str(port), str(folder)]
        process = stack.enter_context(
            subprocess.Popen(
                [*command, provider.address], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        select([process.stdout], [], [], PATIENCE.total_seconds())
        assert process.stdout.readline().strip() == _READY, "it did not start; stderr says why"
        yield provider.address


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
