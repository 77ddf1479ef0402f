"""The composition root: the only module that names adapters."""

import json
from dataclasses import dataclass, field
from hashlib import sha256

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from adapters.store_sqlite import SqliteStore
from domain.policy import Policy
from functions.keeper import Keeper
from functions.logins import Logins
from functions.settings import Settings
from ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The application's parts, ready to use on one event loop."""

    settings: Settings = field(repr=False)
    clock: Clock
    keeper: Keeper
    logins: Logins


def wire(settings: Settings) -> Wired:
    """Choose and join the adapters."""
    clock, entropy = SystemClock(), SystemEntropy()
    policy = Policy(provider=settings.provider, client=_fingerprint(settings))
    # The first one seals; what the derived key has sealed stays readable whatever comes before it.
    keys = KeyRing([*settings.encryption_keys, derive_key(settings.client_secret)])
    store = SqliteStore(settings.sqlite_path, SealedRecords(keys))
    server = HttpxAuthorizationServer(
        settings.provider,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        timeout=policy.request_timeout,
    )
    keeper = Keeper(store=store, server=server, clock=clock, entropy=entropy, policy=policy)
    logins = Logins(
        keeper=keeper,
        store=store,
        server=server,
        clock=clock,
        entropy=entropy,
        provider=settings.provider,
        client_id=settings.client_id,
        redirect_uri=settings.redirect_uri,
        static_state=settings.oauth_state,
    )
    return Wired(settings=settings, clock=clock, keeper=keeper, logins=logins)


def _fingerprint(settings: Settings) -> str:
    """Tell one set of client credentials from another, without telling what they are."""
    credentials = json.dumps([settings.client_id, settings.client_secret])
    return sha256(credentials.encode()).hexdigest()[:16]
