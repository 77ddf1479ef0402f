"""The composition root for requests: only this module names their adapters."""

import json
from contextlib import AsyncExitStack
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, assert_never

from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from domain.policy import Policy
from domain.provider import Provider
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.settings.settings import Settings, SettingsError, missing_library
from functions.settings.store import (
    DynamoDbSettings,
    SqliteSettings,
    StoreSettings,
    UpstashSettings,
)
from ports.authorization_server import AuthorizationServer
from ports.discovery import Discovery
from ports.network_settings import NetworkSettingsError
from ports.rescue import Rescue
from ports.store import Store

if TYPE_CHECKING:
    # Imported where they are made.
    from adapters.signing_keys import SigningKeys
    from functions.access.gate import Caller
    from functions.access.limits import FailureLimits
    from functions.login.links import LoginLinks, LoginOffer
    from functions.login.logins import Logins
    from functions.refresh.revocations import Revocations
    from functions.refresh.sweep import Sweep
    from ports.export import Export


class Wiring:
    """The application's parts for one event loop, made on demand.

    Most requests need a fresh token only. They skip the import of the provider's client, logins and
    the sweep, which speeds up a cold start.
    """

    def __init__(self, settings: Settings) -> None:
        """Choose and connect the adapters."""
        self.settings = settings
        self._open = AsyncExitStack()
        self.clock = SystemClock()
        self._entropy = SystemEntropy()
        self._ring = KeyRing(keys_of(settings))
        records = SealedRecords(self._ring)
        self.store = store_of(settings.store, records)
        self._open.push_async_callback(self.store.close)
        self.rescue: Rescue = RescueLog(records)
        self._policy = Policy(provider=settings.provider, client=_fingerprint(settings))
        self.recorder = Recorder(
            store=self.store,
            clock=self.clock,
            entropy=self._entropy,
            rescue=self.rescue,
            revoke_late_tokens=lambda *late: self.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - a late import
            policy=self._policy,
        )
        self.keeper = Keeper(
            recorder=self.recorder,
            server=lambda: self._server,
            clock=self.clock,
            entropy=self._entropy,
            policy=self._policy,
        )

    @cached_property
    def logins(self) -> "Logins":
        """Starts and completes logins."""
        from functions.login import logins

        return logins.Logins(
            keeper=self.keeper,
            recorder=self.recorder,
            store=self.store,
            server=lambda: self._server,
            clock=self.clock,
            entropy=self._entropy,
            provider=self.provider,
            client_id=self.settings.client_id,
            redirect_uri=self.settings.sent_redirect_uri,
            static_state=self.settings.oauth_state,
            state_keys=lambda: self._signing.of("states"),
            links=self.links,
        )

    @cached_property
    def revocations(self) -> "Revocations":
        """Revokes grants."""
        from functions.refresh import revocations

        return revocations.Revocations(
            keeper=self.keeper, recorder=self.recorder, server=lambda: self._server
        )

    @cached_property
    def limits(self) -> "FailureLimits":
        """Counts failed requests."""
        from functions.access import limits

        return limits.FailureLimits(
            store=self.store,
            clock=self.clock,
            keys=self.settings.api_keys,
            hash_keys=lambda: self._signing.of("failures"),
            most=self.settings.failure_limit,
        )

    @cached_property
    def _signing(self) -> "SigningKeys":
        from adapters import signing_keys

        return signing_keys.SigningKeys(
            self.settings.encryption_keys,
            client_id=self.settings.client_id,
            client_secret=self.settings.client_secret,
        )

    @cached_property
    def links(self) -> "LoginLinks":
        """Makes and checks login links."""
        from functions.login import links as login_links

        return login_links.LoginLinks(
            keys=lambda: self._signing.of("login links"),
            public_url=self.settings.public_url,
            store=self.store,
            clock=self.clock,
            entropy=self._entropy,
        )

    async def offer_login(self, caller: "Caller", read: int | None = None) -> "LoginOffer":
        """Return how to log in to the caller's connection; `read` is its record's position."""
        return await self.links.offer(caller.connection, may_log_in=caller.may_log_in, read=read)

    async def finish(self) -> None:
        """Wait until all work is done and stored."""
        if "logins" in vars(self):
            await self.logins.finish()
        await self.keeper.finish()

    @cached_property
    def sweep(self) -> "Sweep":
        """Refreshes due connections."""
        from functions.refresh import sweep

        return sweep.Sweep(
            keeper=self.keeper,
            revocations=self.revocations,
            store=self.store,
            clock=self.clock,
        )

    async def provider(self) -> Provider:
        """Return the provider, with its issuer's metadata if ISSUER is set.

        Raises DiscoveryError, and SettingsError if a proxy or certificate setting blocks requests.
        """
        discovery = self._discovery
        provider = self.settings.provider if discovery is None else await discovery.provider()
        check_network_settings(provider.token_endpoint)
        return provider

    @cached_property
    def _discovery(self) -> Discovery | None:
        overrides = self.settings.overrides
        if overrides.issuer is None:
            return None
        from adapters.discovery_httpx import HttpxDiscovery
        from adapters.provider_http import USER_AGENT

        return HttpxDiscovery(
            self.settings.provider,
            issuer=overrides.issuer,
            overrides=overrides,
            user_agent=self.settings.user_agent or USER_AGENT,
        )

    async def close(self) -> None:
        """Close the adapters."""
        await self._open.aclose()

    @cached_property
    def export(self) -> "Export":
        """Writes and reads files of exported grants."""
        from adapters.export_sealed import SealedExport

        where = self.settings.provider.token_endpoint or self.settings.overrides.issuer
        client = f"{self.settings.client_id} at {where}"
        return SealedExport(self._ring, client=client)

    @cached_property
    def _server(self) -> AuthorizationServer:
        if self._discovery is None:
            return self._server_of(self.settings.provider)
        from adapters.authorization_server_discovered import DiscoveredAuthorizationServer

        return DiscoveredAuthorizationServer(
            self._discovery, server_of=self._server_of, clock=self.clock
        )

    def _server_of(self, provider: Provider) -> AuthorizationServer:
        from adapters.authorization_server_httpx import HttpxAuthorizationServer
        from adapters.network import MetadataHosts
        from adapters.provider_http import USER_AGENT

        overrides = self.settings.overrides
        server = HttpxAuthorizationServer(
            provider,
            client_id=self.settings.client_id,
            client_secret=self.settings.client_secret,
            timeout=self._policy.request_timeout,
            metadata_hosts=MetadataHosts.from_metadata(provider, overrides),
            user_agent=self.settings.user_agent or USER_AGENT,
        )
        self._open.push_async_callback(server.close)
        return server


def check_network_settings(url: str) -> None:
    """Check proxy and certificate settings, before a person logs in for nothing.

    Raises SettingsError.
    """
    from adapters.proxies import proxy_of
    from adapters.tls import tls_context

    try:
        proxy_of(url)
        if url.startswith("https:"):
            tls_context()
    except NetworkSettingsError as error:
        raise SettingsError([str(error)]) from error


def keys_of(settings: Settings) -> list[bytes]:
    """Return the encryption keys of records; the first one encrypts.

    The derived key is the last, so that its records stay readable.
    """
    derived = [derive_key(settings.client_secret)] if settings.client_secret else []
    return [*settings.encryption_keys, *derived]


def store_of(settings: StoreSettings, records: SealedRecords) -> Store:
    """Make the store, and import its adapter only, for a fast cold start.

    Raises SettingsError if a library is missing.
    """
    match settings:
        case DynamoDbSettings(table=table, region=region):
            try:
                from adapters.dynamodb_table import DynamoDbTable
                from adapters.store_dynamodb import DynamoDbStore
            except ModuleNotFoundError as error:
                raise SettingsError([missing_library("DYNAMODB_TABLE", error)]) from error

            return DynamoDbStore(DynamoDbTable(table, region_name=region), records)
        case SqliteSettings(path=path):
            from adapters.store_sqlite import SqliteStore

            return SqliteStore(path, records)
        case UpstashSettings(url=url, token=token):
            from adapters.store_upstash import UpstashStore

            return UpstashStore(url, token, records)
        case _:
            assert_never(settings)


def _fingerprint(settings: Settings) -> str:
    """Return a fingerprint of the client credentials."""
    credentials = json.dumps([settings.client_id, settings.client_secret])
    return sha256(credentials.encode()).hexdigest()[:16]
