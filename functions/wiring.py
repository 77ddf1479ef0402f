"""The composition root: the only module that names adapters."""

import json
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import assert_never

from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from domain.policy import Policy
from functions.keeper import Keeper
from functions.logins import Logins
from functions.recorder import Recorder
from functions.settings import Settings, SqliteSettings, StoreSettings, UpstashSettings
from functions.sweep import Sweep
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.rescue import Rescue
from ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The application's parts, ready to use on one event loop."""

    settings: Settings = field(repr=False)
    clock: Clock
    keeper: Keeper
    recorder: Recorder
    logins: Logins
    sweep: Sweep
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

    @cache
    def server() -> AuthorizationServer:
        # Most requests are for a fresh token, and need none of this.
        from adapters.authorization_server_httpx import HttpxAuthorizationServer

        return HttpxAuthorizationServer(
            settings.provider,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            timeout=policy.request_timeout,
        )

    recorder = Recorder(store=store, clock=clock, entropy=entropy, rescue=rescue, policy=policy)
    keeper = Keeper(
        store=store, recorder=recorder, server=server, clock=clock, entropy=entropy, policy=policy
    )
    logins = Logins(
        keeper=keeper,
        recorder=recorder,
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
        settings=settings,
        clock=clock,
        keeper=keeper,
        recorder=recorder,
        logins=logins,
        sweep=Sweep(keeper=keeper, store=store, clock=clock),
        store=store,
        rescue=rescue,
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
