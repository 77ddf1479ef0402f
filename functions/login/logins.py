"""Logins: started for a connection, and completed by the provider's redirect."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest

from domain.authorization import (
    LOGIN_LIFETIME,
    AuthorizationResponse,
    PendingLogin,
    authorization_url,
    fingerprint,
    is_signed,
    login_key,
    sign_state,
)
from domain.connection import DEFAULT_CONNECTION
from domain.events import LoginCompleted, Precedence
from domain.extra import merge_extra
from domain.grant import Unauthorized, place_of, tokens_of, was_revoked_since
from domain.login_link import LoginLink
from domain.provider import GrantType, Pkce, Provider
from domain.questions import missing_authorization
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Delivery,
    NoAnswer,
    Outcome,
    TokenResponse,
)
from functions.login.deliveries import Deliveries, delivery_of
from functions.login.links import LoginLinks
from functions.login.login_texts import (
    client_needs_no_login,
    connection_revoked,
    exchange_failed,
    login_not_needed,
    login_refused,
    other_account,
    other_browser,
    other_client,
    other_issuer,
    unknown_state,
)
from functions.login.results import (
    CompletedLogin,
    is_of_another_account,
    outcome_of,
    read_outcome,
    result_of,
)
from functions.observability.tracing import waiting_for
from functions.refresh.failure_texts import failure_cause
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.refresh.shared_tasks import SharedTasks
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Record, Store, UnreadableRecordError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunLogin:
    """The authorization URL, and its lifetime.

    `browser` is the value of the browser's cookie; None if any browser may complete the login.
    """

    authorization_url: str = field(repr=False)
    state: str = field(repr=False)
    lifetime: timedelta
    browser: str | None = field(repr=False)


class Logins:
    """Starts and completes logins."""

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
        owns: Callable[[str], bool],
        state_keys: Callable[[], Awaitable[Sequence[bytes]]],
        links: LoginLinks,
    ) -> None:
        """`static_state` is the state of logins that were started elsewhere.

        `owns` is whether a connection is this client's; it raises UnknownClientError.
        `state_keys` sign states, with the first key, so that unknown ones cause no store request.
        `server` and `provider`, which raises DiscoveryError, are called late.
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
        self._owns = owns
        self._state_keys = state_keys
        self._links = links
        self._deliveries = Deliveries(store=store, clock=clock)
        self._completions: SharedTasks[CompletedLogin] = SharedTasks(must_end=True)

    async def begin(self, connection: str, *, replaces: bool = False) -> BegunLogin:
        """Start a login for any browser; with `replaces` it may replace a working one.

        Raises ProblemError, DiscoveryError, SettingsError, StoreUnavailableError.
        """
        self._require_logins()
        provider = await self._provider()
        record = await self._replaceable_record(connection)
        return await self._begin(connection, provider, record, browser=None, replaces=replaces)

    async def begin_by_link(self, link: LoginLink) -> BegunLogin:
        """Start a login for this browser only, and use up the link.

        Raises ProblemError, DiscoveryError, SettingsError, StoreUnavailableError.
        """
        self._require_logins()
        # First the steps that may fail for a while: they must not use up the link.
        provider = await self._provider()
        record = await self._replaceable_record(link.connection)
        self._links.check(link, record.grant)
        await self._links.use_up(link)
        # A link renews the login that it was made for, and no later one.
        renews = link.renews and link.read == place_of(record.grant)
        if not renews and not self._needs_login(record):
            raise login_not_needed()
        browser = self._entropy.token()
        return await self._begin(link.connection, provider, record, browser=browser, renews=renews)

    async def _begin(
        self,
        connection: str,
        provider: Provider,
        record: Record,
        *,
        browser: str | None,
        replaces: bool = False,
        renews: bool = False,
    ) -> BegunLogin:
        """Bind a new state to the connection and the position of its record."""
        state = await self.state_of(self._entropy.token())
        pending = PendingLogin(
            connection=connection,
            redirect_uri=self._redirect_uri(),
            code_verifier=self._entropy.token() if provider.pkce is Pkce.S256 else None,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
            issuer=provider.issuer,
            issuer_is_required=provider.sends_issuer,
            browser=browser and fingerprint(browser),
            replaces=replaces,
            read=place_of(record.grant),
            renews=renews,
        )
        with waiting_for("store"):
            await asyncio.gather(
                self._store.put_login(login_key(state), pending),
                self._deliveries.expect(state, pending),
            )
        url = authorization_url(provider, client_id=self._client_id, state=state, pending=pending)
        return BegunLogin(
            authorization_url=url, state=state, lifetime=LOGIN_LIFETIME, browser=browser
        )

    async def complete(self, response: AuthorizationResponse, *, quote: str = "") -> CompletedLogin:
        """Use up the state, exchange the code for tokens, and store them.

        The same state and code return the same result, and the code is sent once. The exchange
        continues if the caller goes away. `quote` is the redirect's error.

        Raises ProblemError, DiscoveryError, SettingsError, StoreUnavailableError.
        """
        if not (self.is_static(response.state) or await self._is_ours(response.state)):
            # A made-up state causes no request to the issuer or the store.
            raise unknown_state()
        self._require_logins()
        # Both may fail, and neither may use up the state: the same redirect works later.
        provider, server = await self._provider(), self._server()
        delivery = f"{delivery_of(response)} {response.browser} {response.issuer}"
        task = self._completions.start(
            delivery, lambda: self._complete(response, provider, server, quote)
        )
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait until every redirected login is completed."""
        await self._completions.finish()

    async def _complete(
        self,
        response: AuthorizationResponse,
        provider: Provider,
        server: AuthorizationServer,
        quote: str,
    ) -> CompletedLogin:
        is_static = self.is_static(response.state)
        if is_static and (found := await self._deliveries.find(response)):
            return await self._repeat_result(found, response)
        is_same = not is_static and await self._deliveries.is_first_or_same(response)
        pending = await self._take_pending(response.state, provider)
        if pending is None:
            found = await self._deliveries.wait(response) if is_same else None
            if found is None:
                raise unknown_state()
            return await self._repeat_result(found, response)
        outcome = None
        try:
            self._check(response, pending, quote)
            completed = await self._exchange_and_store(response, pending, provider, server)
            outcome = outcome_of(completed)
        finally:
            # A static state has no waiters, and its code may be sent again after a failure.
            if outcome is not None or not is_static:
                await self._deliveries.store_result(response, pending, outcome)
        return completed

    async def _repeat_result(
        self, found: PendingLogin, response: AuthorizationResponse
    ) -> CompletedLogin:
        if not self._is_own(found):
            raise other_client()
        if not found.is_same_browser(response.browser):
            return read_outcome(found.outcome or "", connection=None, grant=Unauthorized())
        record = await self._replaceable_record(found.connection)
        return read_outcome(found.outcome or "", connection=found.connection, grant=record.grant)

    async def _exchange_and_store(
        self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        provider: Provider,
        server: AuthorizationServer,
    ) -> CompletedLogin:
        # Read before the code is used: if the store is down, the login is not lost.
        before = await self._replaceable_record(pending.connection)
        if was_revoked_since(before.grant, pending.read):
            raise connection_revoked()
        yields = pending.precedence is Precedence.YIELDS
        if yields and not self._needs_login(before):
            # Another login was faster.
            raise login_not_needed()
        requested_at, outcome = await self._exchange(server, pending, response.code or "")
        if not isinstance(outcome, TokenResponse):
            cause = failure_cause(outcome, provider)
            _log.warning("connection %s: login failed: %s", pending.connection, cause)
            raise exchange_failed(outcome)
        completed = LoginCompleted(
            response=replace(outcome, extra=merge_extra(response.extra, outcome.extra)),
            requested_at=requested_at,
            precedence=pending.precedence,
            read=before.grant,
        )
        after = await self._recorder.keep(pending.connection, before, completed)
        if is_of_another_account(completed, after.grant):
            _log.warning(
                "connection %s: a different account logged in, or one that the provider did not "
                "name; the earlier login stays in force",
                pending.connection,
            )
            raise other_account()
        result = result_of(pending.connection, completed, before.grant, after.grant)
        if yields and not result.is_new and tokens_of(after.grant) is not None:
            # Another login was faster in the meantime.
            raise login_not_needed()
        return result

    async def _take_pending(self, state: str, provider: Provider) -> PendingLogin | None:
        """Return the login of a redirect, and use up its state."""
        now = self._clock.now()
        if self.is_static(state):
            return PendingLogin(
                connection=DEFAULT_CONNECTION,
                redirect_uri=self._redirect_uri(),
                code_verifier=None,
                expires_at=now + LOGIN_LIFETIME,
                issuer=provider.issuer,
                issuer_is_required=provider.sends_issuer,
            )
        taker = self._entropy.token()
        return await self._store.take_login(login_key(state), taker=taker, now=now)

    def is_static(self, state: str) -> bool:
        """Whether a state is OAUTH_STATE."""
        static = self._static_state
        return static is not None and compare_digest(state.encode(), static.encode())

    async def _is_ours(self, state: str) -> bool:
        return is_signed(state, await self._state_keys())

    async def state_of(self, token: str) -> str:
        """Return the signed state of a random token."""
        signing_key, *_ = await self._state_keys()
        return sign_state(token, signing_key)

    async def _exchange(
        self, server: AuthorizationServer, pending: PendingLogin, code: str
    ) -> tuple[datetime, Outcome]:
        request = pending.code_request(code)
        requested_at, outcome = await self._send(server, request)
        if isinstance(outcome, NoAnswer) and outcome.delivery is Delivery.NOT_SENT:
            # The code was not sent, and a person waits: retry once.
            return await self._send(server, request)
        return requested_at, outcome

    async def _send(
        self, server: AuthorizationServer, request: AuthorizationCodeRequest
    ) -> tuple[datetime, Outcome]:
        requested_at = self._clock.now()
        return requested_at, await server.request_tokens(request)

    async def _replaceable_record(self, connection: str) -> Record:
        try:
            return await self._keeper.load(connection)
        except UnreadableRecordError as error:
            # The new login replaces a record that nobody can read.
            return Record(grant=Unauthorized(), etag=error.etag, ledger=())

    def _needs_login(self, record: Record) -> bool:
        grant_type, now = self._keeper.grant_type, self._clock.now()
        return missing_authorization(record.grant, now, grant_type) is not None

    def _require_logins(self) -> None:
        if self._keeper.grant_type is GrantType.CLIENT_CREDENTIALS:
            raise client_needs_no_login()

    def _redirect_uri(self) -> str:
        if self._known_redirect_uri is None:
            raise SettingsError(["PUBLIC_URL is not set, and logins redirect to it"])
        return self._known_redirect_uri

    def _check(self, response: AuthorizationResponse, pending: PendingLogin, quote: str) -> None:
        """Check the client, the browser and the issuer of a redirect, and that it has a code."""
        if not self._is_own(pending):
            raise other_client()
        if not pending.is_same_browser(response.browser):
            raise other_browser()
        if not pending.is_issuer_valid(response.issuer):
            raise other_issuer()
        if not response.code:
            raise login_refused(quote)

    def _is_own(self, pending: PendingLogin) -> bool:
        """Whether a login was started for this client, whose callback was requested."""
        try:
            return self._owns(pending.connection)
        except UnknownClientError:
            # It was removed from CLIENTS meanwhile.
            return False
