"""The composition root for requests: only this module and that of a client name their adapters."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from functions.access.credentials import identity_token, keys_in_headers
from functions.access.gate import find_key
from functions.client_wiring import ClientWiring, SharedParts
from functions.http.messages import Request
from functions.refresh.keeper import intent_limit
from functions.settings.api_keys import ApiKey
from functions.settings.clients import ClientError
from functions.settings.settings import Settings, SettingsError, missing_library
from functions.settings.store import (
    DynamoDbSettings,
    PostgresSettings,
    RedisSettings,
    SqliteSettings,
    StoreSettings,
    UpstashSettings,
)
from ports.store import Store

if TYPE_CHECKING:
    # Imported where they are made.
    from adapters.identity_tokens_pyjwt import IssuerKeys
    from adapters.signing_keys import SigningKeys
    from functions.access.callers import Callers
    from functions.access.gate import Caller
    from functions.access.limits import FailureLimits
    from functions.access.sessions import Sessions
    from functions.alert_wiring import AlertWiring
    from functions.login.links import LoginLinks, LoginOffer
    from functions.refresh.poller import Poller
    from functions.refresh.sweep import Sweep
    from functions.settings.callers import CallerEntry
    from ports.export import Export
    from ports.identity_tokens import IdentityTokens
    from ports.metrics import MetricsWriter
    from ports.rescue import Rescue

_log = logging.getLogger(__name__)


class Wiring:
    """The application's parts for one event loop, made on demand.

    A client's parts are made for the first request that concerns it.
    """

    def __init__(self, settings: Settings) -> None:
        """Choose and connect the adapters."""
        self.settings = settings
        self._open = AsyncExitStack()
        self.clock = SystemClock()
        self.entropy = SystemEntropy()
        self._ring = KeyRing(keys_of(settings))
        records = SealedRecords(self._ring)
        self.store = store_of(settings.store, records)
        self._open.push_async_callback(self.store.close)
        self.rescue: Rescue = RescueLog(records)
        self._clients: dict[str | None, ClientWiring] = {}
        self._shared = SharedParts(
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            rescue=self.rescue,
            intents=intent_limit(),
            poller=lambda: self._poller,
            alerts=lambda: self.alerting.duty,
            links=lambda: self.links,
            state_keys=lambda: self._signing.of("states"),
            to_close=self._open,
        )

    def client_of(self, connection: str) -> ClientWiring:
        """Return the parts of a connection's client. Raises UnknownClientError, SettingsError."""
        return self.client(self.settings.clients.name_for(connection))

    def client(self, name: str | None) -> ClientWiring:
        """Return the parts of a client; None for the unnamed one.

        Raises UnknownClientError, SettingsError.
        """
        if name not in self._clients:
            try:
                client = self.settings.clients.get(name)
            except ClientError as error:
                raise SettingsError(error.faults) from error
            self._clients[name] = ClientWiring(
                client,
                self._shared,
                owns=self._owned_by(name),
                redirect_uri=self.settings.sent_redirect_uri(client),
                # A login that was started elsewhere names no connection.
                static_state=self.settings.oauth_state if name is None else None,
            )
        return self._clients[name]

    def usable_clients(self) -> Iterator[ClientWiring]:
        """Yield the parts of each client whose settings are valid."""
        for name in self.settings.clients.names:
            with suppress(SettingsError):
                yield self.client(name)

    def _owned_by(self, name: str | None) -> Callable[[str], bool]:
        return lambda connection: self.settings.clients.name_for(connection) == name

    async def keys_for(self, request: Request) -> Sequence[ApiKey]:
        """Return the keys that a request may have; see `keys_with`. Raises ProblemError."""
        if not self.settings.callers:
            return self.settings.api_keys
        return await self.keys_with(keys_in_headers(request))

    async def keys_with(self, given: Sequence[bytes]) -> Sequence[ApiKey]:
        """Return the API keys, and the one of an identity token that is given.

        Without CALLERS, or with an API key, this imports and requests nothing.

        Raises ProblemError if the identity token is not accepted.
        """
        keys = self.settings.api_keys
        token = identity_token(given) if self.settings.callers else None
        if token is None or find_key([token], keys) is not None:
            return keys
        return [*keys, await self.callers.verify(token, now=self.clock.now())]

    @cached_property
    def callers(self) -> "Callers":
        """Verifies identity tokens by CALLERS."""
        from functions.access import callers

        return callers.Callers(self.settings.callers, self.identity_tokens)

    @cached_property
    def identity_tokens(self) -> "IdentityTokens":
        """Verifies the signatures of identity tokens of the issuers in CALLERS."""
        from adapters.identity_tokens_pyjwt import PyJwtIdentityTokens

        return PyJwtIdentityTokens(
            {entry.rule.issuer: self._keys_of(entry) for entry in self.settings.callers}
        )

    def _keys_of(self, entry: "CallerEntry") -> "IssuerKeys":
        if entry.keys is not None:
            from adapters.identity_tokens_pyjwt import GivenKeys

            return GivenKeys(entry.keys)
        from adapters.issuer_keys_httpx import HttpxIssuerKeys

        return HttpxIssuerKeys(entry.rule.issuer, clock=self.clock)

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

        client = self.settings.clients.unnamed
        return signing_keys.SigningKeys(
            self.settings.encryption_keys,
            client_id="" if client is None else client.client_id,
            client_secrets=[] if client is None else client.client_secrets,
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
            entropy=self.entropy,
        )

    @cached_property
    def sessions(self) -> "Sessions":
        """Starts and reads sessions of the page."""
        from adapters.sealed_passes import SealedPasses
        from functions.access import sessions

        return sessions.Sessions(
            passes=SealedPasses(lambda: self._signing.of("page sessions")),
            api_keys=self.settings.api_keys,
            public_url=self.settings.public_url,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
        )

    async def offer_login(self, caller: "Caller", read: int | None = None) -> "LoginOffer":
        """Return how to log in to the caller's connection; `read` is its record's position."""
        return await self.links.offer(caller.connection, may_log_in=caller.may_log_in, read=read)

    async def finish(self) -> None:
        """Wait until all work is done and stored."""
        for client in list(self._clients.values()):
            await client.finish()

    @cached_property
    def _poller(self) -> "Poller":
        from functions.refresh import poller

        return poller.Poller(self.store)

    @cached_property
    def sweep(self) -> "Sweep":
        """Refreshes due connections."""
        from functions.refresh import sweep

        are_on = bool(self.alerting.channels)
        return sweep.Sweep(
            keeper_of=lambda connection: self.client_of(connection).keeper,
            revocations_of=lambda connection: self.client_of(connection).revocations,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            client_of=self.settings.clients.name_for,
            alerts_are_on=are_on,
            unchecked=self.alerting.unchecked_connections if are_on else None,
            on_end=self.alerting.record_sweep,
        )

    @cached_property
    def alerting(self) -> "AlertWiring":
        """The parts of alerts."""
        from functions.alert_wiring import AlertWiring

        return AlertWiring(
            self.settings,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            links=lambda: self.links,
            provider_of=lambda connection: self.client_of(connection).client.provider.name,
            to_close=self._open,
        )

    @cached_property
    def write_metrics(self) -> "MetricsWriter":
        """Writes metrics for Prometheus."""
        from adapters.metrics_prometheus import write_metrics

        return write_metrics

    async def close(self) -> None:
        """Close the adapters."""
        await self._open.aclose()

    @cached_property
    def export(self) -> "Export":
        """Writes and reads files of exported grants."""
        from adapters.export_sealed import SealedExport

        return SealedExport(self._ring, client_of=lambda name: self.client_of(name).title)


def keys_of(settings: Settings) -> list[bytes]:
    """Return the encryption keys of records; the first one encrypts.

    Derived keys are the last, so that their records stay readable.
    """
    client = settings.clients.unnamed
    secrets = [] if client is None else client.client_secrets
    return [*settings.encryption_keys, *map(derive_key, secrets)]


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
        case PostgresSettings(url=url, variable=variable):
            try:
                from adapters.postgres_address import PostgresAddress
                from adapters.postgres_pool import PostgresPool
                from adapters.store_postgres import PostgresStore
            except ModuleNotFoundError as error:
                raise SettingsError([_missing_psycopg(variable, error)]) from error

            return PostgresStore(PostgresPool(PostgresAddress.of(url, variable)), records)
        case SqliteSettings(path=path):
            from adapters.store_sqlite import SqliteStore

            return SqliteStore(path, records)
        case UpstashSettings(url=url, token=token):
            from adapters.store_upstash import UpstashStore

            return UpstashStore(url, token, records)
        case RedisSettings(url=url):
            try:
                from adapters.store_redis import RedisStore
            except ModuleNotFoundError as error:
                text = missing_library("REDIS_URL", error, lock="redis")
                raise SettingsError([text]) from error

            return RedisStore(url, records)
        case _:
            assert_never(settings)


async def migrate_store(settings: StoreSettings) -> tuple[int, int] | None:
    """Create or migrate the tables. Return the versions before and after; 0 is none.

    None if the store needs no migration.

    Raises SettingsError if a library is missing, StoreUnavailableError.
    """
    if not isinstance(settings, PostgresSettings):
        return None
    try:
        from adapters.postgres_setup import migrate_database
    except ModuleNotFoundError as error:
        raise SettingsError([_missing_psycopg(settings.variable, error)]) from error
    return await migrate_database(settings.url, settings.variable)


def _missing_psycopg(variable: str, error: ModuleNotFoundError) -> str:
    return missing_library(variable, error, lock="postgres")
