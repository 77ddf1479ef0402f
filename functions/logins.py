"""Logins: begun for a connection, and completed by the provider's redirect."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest

from domain.authorization import LOGIN_LIFETIME, PendingLogin, authorization_url, login_key
from domain.events import LoginCompleted
from domain.grant import Grant, Unauthorized
from domain.provider import Pkce, Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Delivery,
    NoAnswer,
    Outcome,
    TokenErrorResponse,
    TokenResponse,
)
from functions.connections import DEFAULT_CONNECTION
from functions.keeper import Keeper, describe
from functions.recorder import Recorder
from functions.settings import SettingsError
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Record, Store, UnreadableRecordError

_log = logging.getLogger(__name__)


class UnknownStateError(Exception):
    """The state was never given out, has expired, or has been used."""


class ExchangeFailedError(Exception):
    """The code brought no tokens; `outcome` is what came instead."""

    def __init__(self, outcome: TokenErrorResponse | NoAnswer) -> None:
        super().__init__("the code was not exchanged")
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunLogin:
    """Where to send the browser, and for how long that is good."""

    authorization_url: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedLogin:
    """What a login left: `grant` is the one in force, `is_new` whether this login made it."""

    connection: str
    grant: Grant
    is_new: bool


class Logins:
    """Begin and complete logins."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        recorder: Recorder,
        store: Store,
        server: Callable[[], AuthorizationServer],
        clock: Clock,
        entropy: Entropy,
        provider: Callable[[], Awaitable[Provider]],
        client_id: str,
        redirect_uri: str | None,
        static_state: str | None,
    ) -> None:
        """`static_state` is one with which logins that were begun elsewhere are accepted.

        `server` is called when there is a code to exchange, `provider` where a login begins or
        ends; it raises DiscoveryError.
        """
        self._keeper = keeper
        self._recorder = recorder
        self._store = store
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._provider = provider
        self._client_id = client_id
        self._known_redirect_uri = redirect_uri
        self._static_state = static_state

    async def begin(self, connection: str) -> BegunLogin:
        """Bind a new state to the connection.

        Raises DiscoveryError, SettingsError, StoreUnavailableError.
        """
        provider = await self._provider()
        state = self._entropy.token()
        pending = PendingLogin(
            connection=connection,
            redirect_uri=self._redirect_uri(),
            code_verifier=self._entropy.token() if provider.pkce is Pkce.S256 else None,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
        )
        await self._store.put_login(login_key(state), pending)
        url = authorization_url(provider, client_id=self._client_id, state=state, pending=pending)
        return BegunLogin(authorization_url=url, lifetime=LOGIN_LIFETIME)

    async def take(self, state: str) -> PendingLogin:
        """Find the login that a redirect belongs to, and use up its state.

        Raises UnknownStateError, SettingsError, StoreUnavailableError.
        """
        now = self._clock.now()
        if self._static_state and compare_digest(state.encode(), self._static_state.encode()):
            return PendingLogin(
                connection=DEFAULT_CONNECTION,
                redirect_uri=self._redirect_uri(),
                code_verifier=None,
                expires_at=now + LOGIN_LIFETIME,
            )
        taker = self._entropy.token()
        pending = await self._store.take_login(login_key(state), taker=taker, now=now)
        if pending is None:
            raise UnknownStateError
        return pending

    async def complete(self, pending: PendingLogin, code: str) -> CompletedLogin:
        """Trade the code for tokens and keep them.

        Raises ExchangeFailedError, StoreUnavailableError.
        """
        # Before the code is spent: a store that is away costs the login nothing then.
        before = await self._replaceable_record(pending.connection)
        completed = await self._exchange(pending.code_request(code))
        after = await self._recorder.keep(pending.connection, before, completed)
        return CompletedLogin(
            connection=pending.connection, grant=after.grant, is_new=after is not before
        )

    async def _exchange(self, request: AuthorizationCodeRequest) -> LoginCompleted:
        requested_at, outcome = await self._send(request)
        if isinstance(outcome, NoAnswer) and outcome.delivery is Delivery.NOT_SENT:
            # The code is still good, and a person has waited for it.
            requested_at, outcome = await self._send(request)
        if not isinstance(outcome, TokenResponse):
            _log.warning("the exchange of a code brought %s", describe(outcome))
            raise ExchangeFailedError(outcome)
        return LoginCompleted(response=outcome, requested_at=requested_at)

    async def _send(self, request: AuthorizationCodeRequest) -> tuple[datetime, Outcome]:
        requested_at = self._clock.now()
        return requested_at, await self._server().request_tokens(request)

    async def _replaceable_record(self, connection: str) -> Record:
        try:
            return await self._keeper.load(connection)
        except UnreadableRecordError as error:
            # Its owner has just logged in anew: what nobody can read is worth less than that.
            return Record(grant=Unauthorized(), etag=error.etag)

    def _redirect_uri(self) -> str:
        if self._known_redirect_uri is None:
            raise SettingsError(["PUBLIC_URL is not set, and logins come back to it"])
        return self._known_redirect_uri
