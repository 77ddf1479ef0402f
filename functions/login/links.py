"""Login links, for a person without an API key. Single use, 24 hours."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from domain.connection import DEFAULT_CONNECTION
from domain.grant import Grant, was_revoked_since
from domain.login_link import LINK_LIFETIME, LoginLink, read_link
from functions.http.problems import ProblemError, problem
from functions.login.login_texts import START_OVER_ON_PAGE
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Store

_ANOTHER = "GET /api/verify has a new link while a login is required: use that one."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOffer:
    """How to log in: POST with an API key, or a login link.

    `link` is None without PUBLIC_URL, and for a key that may not start logins. `is_in_text` puts it
    into the text, for an answer that has no other place for it.
    """

    url: str
    link: str | None = field(repr=False)
    may_log_in: bool
    is_in_text: bool = False

    @property
    def how(self) -> str:
        """The next step as a sentence. The link is secret: it is there with `is_in_text` only."""
        if self.link and self.is_in_text:
            return f"To log in, open {self.link}"
        key = "an API key" if self.may_log_in else "an API key that is allowed for login"
        how = f"To log in, send POST {self.url} with {key} and open the authorization_url"
        return f"{how}, or open the link in `login`." if self.link else f"{how}."

    @property
    def members(self) -> dict[str, object]:
        """The problem's member `login`."""
        post: dict[str, object] = {"method": "POST", "url": self.url}
        if self.link is None:
            return post
        return post | {"link": self.link, "link_expires_in": int(LINK_LIFETIME.total_seconds())}


class LoginLinks:
    """Makes and checks login links."""

    def __init__(
        self,
        *,
        keys: Callable[[], Awaitable[Sequence[bytes]]],
        public_url: str | None,
        store: Store,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """The first key signs, every key verifies. Without `public_url` there are no links."""
        self._keys = keys
        self._public_url = public_url
        self._store = store
        self._clock = clock
        self._entropy = entropy

    @property
    def login_url(self) -> str:
        """The URL of POST /api/login; relative without PUBLIC_URL."""
        return f"{self._public_url or ''}/api/login"

    async def offer(
        self,
        connection: str,
        *,
        may_log_in: bool,
        read: int | None = None,
        renews: bool = False,
    ) -> LoginOffer:
        """Return how to log in; `read` is the position of the record that was read.

        A link that `renews` works for the login that was read, although that one still works.
        A link is made without the store or the provider.
        """
        query = "" if connection == DEFAULT_CONNECTION else f"?connection={connection}"
        url = self.login_url
        has_link = may_log_in and self._public_url is not None
        signed = await self._sign(connection, read, renews=renews) if has_link else None
        link = signed and f"{url}?link={signed}"
        return LoginOffer(url=url + query, link=link, may_log_in=may_log_in)

    async def read(self, text: str) -> LoginLink:
        """Check the signature and expiry of a link. Raises ProblemError."""
        link = read_link(text, await self._keys())
        if link is None:
            raise _invalid("This deployment did not issue this login link.")
        if not link.is_valid(self._clock.now()):
            raise _invalid("This login link has expired.")
        return link

    def check(self, link: LoginLink, grant: Grant) -> None:
        """Refuse a link older than the revocation of its connection. Raises ProblemError."""
        if was_revoked_since(grant, link.read):
            raise _invalid("The connection was revoked after this login link was issued.")

    async def use_up(self, link: LoginLink) -> None:
        """Count one use, and refuse a second. Raises ProblemError, StoreUnavailableError."""
        uses = await self._store.count(f"login-link {link.id}", window_ends=link.expires_at)
        if uses > 1:
            raise _invalid("This login link was already used.")

    async def _sign(self, connection: str, read: int | None, *, renews: bool) -> str:
        link = LoginLink(
            connection=connection,
            id=self._entropy.token(),
            expires_at=self._clock.now() + LINK_LIFETIME,
            read=read,
            renews=renews,
        )
        signing_key, *_ = await self._keys()
        return link.sign(signing_key)


def _invalid(what: str) -> ProblemError:
    return problem("invalid-link", f"{what} {_ANOTHER}", on_page=f"{what} {START_OVER_ON_PAGE}")
