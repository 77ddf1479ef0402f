"""Sessions of the page: signed in with an API key, or with a link of the command line.

A session is an encrypted cookie, valid for eight hours, and nothing is stored for it. It is bound
to the digest of its API key: it ends when the key is removed, changed or expires. The cookie has
neither the key nor its digest. Identity tokens start no session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hmac import compare_digest

from domain.page_session import (
    SESSION_LIFETIME,
    SIGN_IN_LINK_LIFETIME,
    Pass,
    key_fingerprint,
)
from functions.access.gate import is_current, require_known_key
from functions.http.cookies import HostCookies
from functions.http.messages import Request
from functions.http.own_page import is_from_own_page
from functions.http.problems import ProblemError, problem
from functions.observability.tracing import mark_authenticated, mark_known_key
from functions.settings.api_keys import ApiKey, KeyedEndpoint
from ports.clock import Clock
from ports.entropy import Entropy
from ports.passes import Passes, PassKind
from ports.store import Store

_COOKIE = "session"
_LIFETIMES = {PassKind.SESSION: SESSION_LIFETIME, PassKind.LINK: SIGN_IN_LINK_LIFETIME}
_NEW_LINK = "Make a new one with `python -m functions.admin page-link`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser: its API key, and the token that its forms have.

    The token is the secret in the cookie (OWASP's synchronizer token).
    """

    key: ApiKey
    form_token: str = field(repr=False)

    @property
    def is_unrestricted(self) -> bool:
        """Whether the key is for all connections and endpoints, as an operator's is."""
        return self.key.connections is None and self.key.endpoints is None

    def may(self, endpoint: KeyedEndpoint) -> bool:
        """Whether the key is for an endpoint."""
        return self.key.endpoints is None or endpoint in self.key.endpoints


class Sessions:
    """Starts, reads and ends sessions."""

    def __init__(
        self,
        *,
        passes: Passes,
        api_keys: Sequence[ApiKey],
        public_url: str | None,
        store: Store,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._passes = passes
        self._api_keys = api_keys
        self._public_url = public_url
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._cookies = HostCookies(public_url)

    async def start(self, given: bytes) -> tuple[str, str]:
        """Return the header that starts a session with an API key. Raises ProblemError."""
        key = require_known_key([given.strip()], self._api_keys, self._clock.now())
        return await self._header(key)

    async def of(self, request: Request) -> Session | None:
        """Return the session of a request; None if it has none, or one that has ended."""
        text = self._cookies.value(request, _COOKIE)
        found = await self._read(text or "", PassKind.SESSION)
        if found is None:
            return None
        pass_, key = found
        mark_known_key(key.name)
        mark_authenticated(key.logged_name)
        return Session(key=key, form_token=pass_.secret)

    def end(self) -> tuple[str, str]:
        """Return the header that ends a session in its browser."""
        return self._cookies.header(_COOKIE, "", max_age=0)

    def require_own_form(self, request: Request, session: Session | None = None) -> None:
        """Refuse a form of another site, or without the session's token. Raises ProblemError."""
        given = request.form().get("token", "").encode()
        is_own = is_from_own_page(request, self._public_url)
        if is_own and (session is None or compare_digest(given, session.form_token.encode())):
            return
        what = "Another site sent this form, or it is from an earlier session. Nothing was done."
        where = "the page" if self._public_url is None else f"{self._public_url}/"
        raise problem("invalid-request", f"{what} Open {where}, and repeat it.")

    async def link(self, key: ApiKey) -> str:
        """Return a link that signs in with a key: single use, ten minutes."""
        text = await self._write(key, PassKind.LINK)
        return f"{self._public_url or ''}/sign-in?link={text}"

    async def check_link(self, text: str) -> ApiKey:
        """Return the key of a link, without using it up. Raises ProblemError."""
        return (await self._linked(text))[1]

    async def start_by_link(self, text: str) -> tuple[str, str]:
        """Use up a link, and return the header that starts its session.

        Raises ProblemError, StoreUnavailableError.
        """
        pass_, key = await self._linked(text)
        uses = await self._store.count(f"page-link {pass_.id}", window_ends=pass_.expires_at)
        if uses > 1:
            raise _invalid("This sign-in link was already used.")
        return await self._header(key)

    async def _linked(self, text: str) -> tuple[Pass, ApiKey]:
        found = await self._read(text, PassKind.LINK)
        if found is None:
            raise _invalid("This sign-in link is unknown or has expired, or its API key is gone.")
        return found

    async def _read(self, text: str, kind: PassKind) -> tuple[Pass, ApiKey] | None:
        """Return a valid pass with its API key; None otherwise."""
        now = self._clock.now()
        pass_ = await self._passes.read(text, kind) if text else None
        if pass_ is None or not pass_.is_valid(now, _LIFETIMES[kind]):
            return None
        for key in self._api_keys:
            if compare_digest(key_fingerprint(key.digest), pass_.key):
                return (pass_, key) if is_current(key, now) else None
        return None

    async def _header(self, key: ApiKey) -> tuple[str, str]:
        text = await self._write(key, PassKind.SESSION)
        return self._cookies.header(_COOKIE, text, max_age=int(SESSION_LIFETIME.total_seconds()))

    async def _write(self, key: ApiKey, kind: PassKind) -> str:
        pass_ = Pass(
            secret=self._entropy.token(),
            expires_at=self._clock.now() + _LIFETIMES[kind],
            key=key_fingerprint(key.digest),
        )
        return await self._passes.write(pass_, kind)


def has_session_cookie(request: Request, public_url: str | None) -> bool:
    """Whether a request has the cookie of a session, valid or not."""
    return bool(HostCookies(public_url).value(request, _COOKIE))


def _invalid(what: str) -> ProblemError:
    return problem("invalid-link", f"{what} {_NEW_LINK}")
