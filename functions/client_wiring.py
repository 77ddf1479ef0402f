"""The composition root of one client: the parts that depend on its provider and credentials."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from domain.policy import Policy
from domain.provider import ClientAuthentication, Pkce, Provider
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.settings.client import ClientSettings
from functions.settings.settings import SettingsError
from ports.network_settings import NetworkSettingsError
from ports.store import Store

if TYPE_CHECKING:
    # Imported where they are made.
    from adapters.client_assertion import ClientAssertions
    from functions.login.adoptions import Adoptions
    from functions.login.links import LoginLinks
    from functions.login.logins import Logins
    from functions.refresh.alert_duty import AlertDuty
    from functions.refresh.concurrency_limit import ConcurrencyLimit
    from functions.refresh.poller import Poller
    from functions.refresh.revocations import Revocations
    from ports.authorization_server import AuthorizationServer
    from ports.clock import Clock
    from ports.discovery import Discovery
    from ports.entropy import Entropy
    from ports.rescue import Rescue


class SharedParts(NamedTuple):
    """The parts that all clients of a deployment share.

    `alerts` is None without channels. `poller`, `links`, and `state_keys` for the states of logins,
    are made at their first use. `to_close` gets what a client opens.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    store: Store
    clock: "Clock"
    entropy: "Entropy"
    rescue: "Rescue"
    intents: "ConcurrencyLimit"
    poller: "Callable[[], Poller]"
    alerts: "Callable[[], AlertDuty | None]"
    links: "Callable[[], LoginLinks]"
    state_keys: Callable[[], Awaitable[Sequence[bytes]]]
    to_close: AsyncExitStack


class ClientWiring:
    """The parts of one client for one event loop, made on demand.

    Most requests need a fresh token only. They skip the import of the provider's client and logins,
    which speeds up a cold start.
    """

    def __init__(
        self,
        client: ClientSettings,
        shared: SharedParts,
        *,
        owns: Callable[[str], bool],
        redirect_uri: str | None,
        static_state: str | None,
    ) -> None:
        """`owns` is whether a connection is this client's.

        `redirect_uri` is None without PUBLIC_URL. `static_state` is OAUTH_STATE.
        """
        self.client = client
        self._shared = shared
        self._owns = owns
        self._redirect_uri = redirect_uri
        self._static_state = static_state
        self._policy = Policy(provider=client.provider, client=_fingerprint(client))
        self.recorder = Recorder(
            store=shared.store,
            clock=shared.clock,
            entropy=shared.entropy,
            rescue=shared.rescue,
            revoke_late_tokens=lambda *late: self.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - a late import
            policy=self._policy,
            alerts=shared.alerts,
        )
        self.keeper = Keeper(
            recorder=self.recorder,
            server=lambda: self._server,
            clock=shared.clock,
            entropy=shared.entropy,
            policy=self._policy,
            intents=shared.intents,
            poller=shared.poller,
        )

    @cached_property
    def logins(self) -> "Logins":
        """Starts and completes logins."""
        from functions.login import logins

        return logins.Logins(
            keeper=self.keeper,
            recorder=self.recorder,
            store=self._shared.store,
            server=lambda: self._server,
            clock=self._shared.clock,
            entropy=self._shared.entropy,
            provider=self.provider,
            client_id=self.client.client_id,
            redirect_uri=self._redirect_uri,
            static_state=self._static_state,
            owns=self._owns,
            state_keys=self._shared.state_keys,
            links=self._shared.links(),
        )

    @cached_property
    def revocations(self) -> "Revocations":
        """Revokes grants."""
        from functions.refresh import revocations

        return revocations.Revocations(
            keeper=self.keeper, recorder=self.recorder, server=lambda: self._server
        )

    @cached_property
    def adoptions(self) -> "Adoptions":
        """Adopts tokens that another program got."""
        from functions.login import adoptions

        return adoptions.Adoptions(
            keeper=self.keeper,
            recorder=self.recorder,
            clock=self._shared.clock,
            policy=self._policy,
            subject_of=self._subject_of,
        )

    def _subject_of(self, id_token: str) -> str | None:
        from adapters.id_token import read_account

        issuer = self.client.overrides.issuer or self.client.provider.issuer
        return read_account(id_token, issuer).subject

    @property
    def title(self) -> str:
        """The client and its provider, for an operator."""
        where = self.client.provider.token_endpoint or self.client.overrides.issuer
        return f"{self.client.client_id} at {where}"

    async def finish(self) -> None:
        """Wait until all work is done and stored."""
        if "logins" in vars(self):
            await self.logins.finish()
        await self.keeper.finish()

    async def provider(self) -> Provider:
        """Return the provider, with its issuer's metadata if ISSUER is set.

        Raises DiscoveryError, and SettingsError if a proxy or certificate setting blocks requests.
        """
        discovery = self._discovery
        provider = self.client.provider if discovery is None else await discovery.provider()
        check_network_settings(provider.token_endpoint)
        await self._check_credentials(provider)
        return provider

    async def _check_credentials(self, provider: Provider) -> None:
        """Check what only the provider's metadata or the loaded key shows. Raises SettingsError."""
        is_public = provider.client_authentication is ClientAuthentication.NONE
        if is_public and provider.pkce is Pkce.NONE:
            text = "PKCE must be S256 for a client without a secret, and ISSUER does not offer it"
            raise self._fault(text)
        if self._assertions is not None:
            from ports.client_key import ClientKeyError

            try:
                await self._assertions.check()
            except ClientKeyError as error:
                raise self._fault(str(error)) from None

    def _fault(self, text: str) -> SettingsError:
        from functions.settings.named_clients import fault_of_client

        return SettingsError([fault_of_client(self.client.name, text)])

    @cached_property
    def _discovery(self) -> "Discovery | None":
        overrides = self.client.overrides
        if overrides.issuer is None:
            return None
        from adapters.discovery_httpx import HttpxDiscovery
        from adapters.provider_http import USER_AGENT

        return HttpxDiscovery(
            self.client.provider,
            issuer=overrides.issuer,
            overrides=overrides,
            user_agent=self.client.user_agent or USER_AGENT,
        )

    @cached_property
    def _assertions(self) -> "ClientAssertions | None":
        if (key := self.client.private_key) is None:
            return None
        from adapters.client_assertion import ClientAssertions

        return ClientAssertions(
            client_id=self.client.client_id,
            pem=key.pem,
            key_id=key.key_id,
            audience=key.audience,
            algorithm=key.algorithm,
            clock=self._shared.clock,
            entropy=self._shared.entropy,
        )

    @cached_property
    def _server(self) -> "AuthorizationServer":
        if self._discovery is None:
            return self._server_of(self.client.provider)
        from adapters.authorization_server_discovered import DiscoveredAuthorizationServer

        return DiscoveredAuthorizationServer(
            self._discovery, server_of=self._server_of, clock=self._shared.clock
        )

    def _server_of(self, provider: Provider) -> "AuthorizationServer":
        from adapters.authorization_server_httpx import HttpxAuthorizationServer
        from adapters.network import MetadataHosts
        from adapters.provider_http import USER_AGENT

        server = HttpxAuthorizationServer(
            provider,
            client_id=self.client.client_id,
            client_secret=self.client.client_secret,
            previous_client_secret=self.client.previous_client_secret,
            assertions=self._assertions,
            timeout=self._policy.request_timeout,
            metadata_hosts=MetadataHosts.from_metadata(provider, self.client.overrides),
            user_agent=self.client.user_agent or USER_AGENT,
        )
        self._shared.to_close.push_async_callback(server.close)
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


def _fingerprint(client: ClientSettings) -> str:
    """Return a fingerprint of the client credentials, without a previous secret."""
    credentials = [client.client_id, client.client_secret]
    if client.private_key is not None:
        credentials.append(client.private_key.pem)
    return sha256(json.dumps(credentials).encode()).hexdigest()[:16]
