"""The composition root: the only module that names adapters."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import assert_never

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from domain.policy import Policy
from functions.keeper import Keeper
from functions.logins import Logins
from functions.settings import Settings, SqliteSettings, StoreSettings, UpstashSettings
from ports.clock import Clock
from ports.rescue import Rescue
from ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The application's parts, ready to use on one event loop."""

    settings: Settings = field(repr=False)
    clock: Clock
    keeper: Keeper
    logins: Logins
    store: Store
    rescue: Rescue


def wire(settings: Settings) -> Wired:
    """Choose and join the adapters."""
    clock, entropy = SystemClock(), SystemEntropy()
    policy = Policy(provider=settings.provider, client=_fingerprint(settings))
    # The first one seals; what the derived key has sealed stays readable whatever comes before it.
    keys = KeyRing([*settings.encryption_keys, derive_key(settings.client_secret)])
    records = SealedRecords(keys)
    store, rescue = _store(settings.store, records), RescueLog(records)
    server = HttpxAuthorizationServer(
        settings.provider,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        timeout=policy.request_timeout,
    )
    keeper = Keeper(
        store=store, server=server, clock=clock, entropy=entropy, rescue=rescue, policy=policy
    )
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
    return Wired(
        settings=settings, clock=clock, keeper=keeper, logins=logins, store=store, rescue=rescue
    )


def _store(settings: StoreSettings, records: SealedRecords) -> Store:
    """Import the one adapter that is used: the others would cost a cold start."""
    match settings:
        case SqliteSettings(path=path):
            from adapters.store_sqlite import SqliteStore

            return SqliteStore(path, records)
        case UpstashSettings(url=url, token=token):
            from adapters.store_upstash import UpstashStore

            return UpstashStore(url, token, records)
        case _:
            assert_never(settings)


def _fingerprint(settings: Settings) -> str:
    """Tell one set of client credentials from another, without telling what they are."""
    credentials = json.dumps([settings.client_id, settings.client_secret])
    return sha256(credentials.encode()).hexdigest()[:16]
