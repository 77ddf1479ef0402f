"""Links that begin a login without the API key: made for who has it, each good once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from domain.connection import DEFAULT_CONNECTION
from domain.grant import Grant, was_revoked_since
from domain.login_link import LINK_LIFETIME, LoginLink, read_link
from functions.http.problems import problem
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Store

_ANOTHER = "GET /api/verify with the API key gives another while a login is needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOffer:
    """The ways to a login: by POST with an API key, and by a link.

    The link is None without an address, and for whose key does not begin logins.
    """

    url: str
    link: str | None = field(repr=False)
    may_log_in: bool

    @property
    def how(self) -> str:
        """What to do, in words; without the link, which belongs into no log."""
        key = "the API key" if self.may_log_in else "an API key that is for the endpoint login"
        how = f"to log in, POST to {self.url} with {key} and open the authorization_url"
        return f"{how}, or open the link in `login`" if self.link else how

    @property
    def members(self) -> dict[str, object]:
        """The same for a program."""
        post: dict[str, object] = {"method": "POST", "url": self.url}
        if self.link is None:
            return post
        return post | {"link": self.link, "link_expires_in": int(LINK_LIFETIME.total_seconds())}


class LoginLinks:
    """Make links, and tell which of them still begin a login."""

    def __init__(
        self,
        *,
        keys: Callable[[], Awaitable[Sequence[bytes]]],
        public_url: str | None,
        store: Store,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """The first of the keys signs, all of them are known; without a URL there are no links."""
        self._keys = keys
        self._public_url = public_url
        self._store = store
        self._clock = clock
        self._entropy = entropy

    @property
    def login_url(self) -> str:
        """Where logins begin; relative where the deployment's address is not known."""
        return f"{self._public_url or ''}/api/login"

    async def offer(
        self, connection: str, *, may_log_in: bool, read: int | None = None
    ) -> LoginOffer:
        """Say how to log in; to make a link asks nobody, and whose key may not gets none.

        `read` is how far the connection's record has counted.
        """
        query = "" if connection == DEFAULT_CONNECTION else f"?connection={connection}"
        url = self.login_url
        has_link = may_log_in and self._public_url is not None
        link = f"{url}?link={await self._sign(connection, read)}" if has_link else None
        return LoginOffer(url=url + query, link=link, may_log_in=may_log_in)

    async def read(self, text: str) -> LoginLink:
        """Read a link, whether or not it was used. Raises ProblemError."""
        link = read_link(text, await self._keys())
        if link is None:
            raise problem("invalid-link", f"this deployment has not made this link; {_ANOTHER}")
        if not link.is_alive(self._clock.now()):
            raise problem("invalid-link", f"this link has expired; {_ANOTHER}")
        return link

    def check(self, link: LoginLink, grant: Grant) -> None:
        """Refuse a link from before its connection was revoked. Raises ProblemError."""
        if was_revoked_since(grant, link.read):
            raise problem(
                "invalid-link",
                f"the connection was revoked after this link had been made; {_ANOTHER}",
            )

    async def use_up(self, link: LoginLink) -> None:
        """Let the link be used by nobody else. Raises ProblemError, StoreUnavailableError."""
        uses = await self._store.count(f"login-link {link.id}", window_ends=link.expires_at)
        if uses > 1:
            raise problem(
                "invalid-link",
                "this link was used before; if the login has worked, nothing is left to do, "
                f"else {_ANOTHER}",
            )

    async def _sign(self, connection: str, read: int | None) -> str:
        link = LoginLink(
            connection=connection,
            id=self._entropy.token(),
            expires_at=self._clock.now() + LINK_LIFETIME,
            read=read,
        )
        signing_key, *_ = await self._keys()
        return link.sign(signing_key)
