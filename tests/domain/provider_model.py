"""A model of a provider's refresh tokens: the other side of the rules of refresh."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.provider import Provider, Rotation, RotationKind
from domain.token_endpoint import TokenErrorResponse, TokenResponse

INVALID_GRANT = TokenErrorResponse(status=400, error="invalid_grant")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a provider rotates refresh tokens, and treats an old one.

    - `repeats`: within grace, an old refresh token returns the same pair again, with the
      `expires_in` of a full lifetime (django-oauth-toolkit). Otherwise a new pair (Okta).
    - `until_used`: grace ends `after_use` of one of the new tokens, at the API or in a refresh.
    - `revokes`: any other use of an old one revokes all tokens of the login (RFC 9700 §4.14.2).
    - `refuses_early`: refuses a refresh while an access token has more than this left.
      `is_early_declared`: its clients know that.
    - `refuses_for`: sometimes refuses for this long. Both answer `invalid_grant`, temporarily.
    - `login_lives`: how long a login lasts, in lifetimes of a refresh token; None for ever.
    """

    rotation: RotationKind
    grace: timedelta = timedelta(0)
    repeats: bool = False
    until_used: bool = False
    after_use: timedelta = timedelta(0)
    revokes: bool = False
    refuses_early: timedelta | None = None
    is_early_declared: bool = False
    refuses_for: timedelta | None = None
    login_lives: float | None = None

    def declared(self, provider: Provider, refresh_life: timedelta) -> Provider:
        """Return the provider with these rules, as its clients know them."""
        return replace(
            provider,
            rotation=Rotation(kind=self.rotation, grace=self.grace, until_used=self.until_used),
            refresh_only_within=self.refuses_early if self.is_early_declared else None,
            login_lifetime=self.login_life(refresh_life),
        )

    def login_life(self, refresh_life: timedelta) -> timedelta | None:
        """Return how long a login lasts, however often it is refreshed."""
        return None if self.login_lives is None else refresh_life * self.login_lives

    @property
    def refuses_what_lives(self) -> bool:
        """Whether `invalid_grant` may mean less than it says."""
        return self.refuses_early is not None or self.refuses_for is not None


@dataclass(kw_only=True)
class Issued:
    """A refresh token, and what became of it."""

    expires_at: datetime
    replaced_at: datetime | None = None
    # When one of the tokens that replaced it was used first.
    used_at: datetime | None = None
    successor: TokenResponse | None = None


@dataclass(kw_only=True)
class ProviderModel:
    """One person's authorization at one provider; `name` marks the tokens of one of several."""

    kind: Kind
    access_life: timedelta
    refresh_life: timedelta
    name: str = ""
    login_ends_at: datetime | None = None
    access_expires_at: dict[str, datetime] = field(default_factory=dict)
    issued: dict[str, Issued] = field(default_factory=dict)
    # A token, and the refresh token that brought it.
    brought_by: dict[str, str] = field(default_factory=dict)
    revoked: bool = False
    serial: int = 0
    refuses_until: datetime | None = None
    # Whether the last refresh was refused with a valid refresh token.
    has_refused: bool = False

    def log_in(self, now: datetime) -> TokenResponse:
        """Start over: a new family; the tokens of the old one are revoked."""
        self.issued.clear()
        self.revoked = False
        login_life = self.kind.login_life(self.refresh_life)
        self.login_ends_at = None if login_life is None else now + login_life
        return self._issue(now, with_refresh_token=True)

    def honours(self, refresh_token: str, now: datetime) -> bool:
        """Whether this refresh token would bring tokens now."""
        token = self.issued.get(refresh_token)
        if token is None or self.revoked or token.expires_at <= now:
            return False
        if token.replaced_at is None:
            return True
        is_over = (
            self.kind.until_used
            and token.used_at is not None
            and token.used_at + self.kind.after_use <= now
        )
        return now < token.replaced_at + self.kind.grace and not is_over

    def use(self, token: str, now: datetime) -> None:
        """Let a program use an access token, or a refresh use a refresh token."""
        before = self.issued.get(self.brought_by.get(token, ""))
        if before is not None:
            before.used_at = before.used_at or now

    def is_fixed(self, refresh_token: str) -> bool:
        """Whether no refresh can extend the life of this refresh token."""
        token = self.issued.get(refresh_token)
        return token is not None and token.expires_at == self.login_ends_at

    def refresh(
        self, refresh_token: str, now: datetime, *, rotates: bool
    ) -> TokenResponse | TokenErrorResponse:
        """Act on a refresh; `rotates` is what a provider that may do either does this time."""
        token = self.issued.get(refresh_token)
        if not self.honours(refresh_token, now):
            was_replaced = token is not None and token.replaced_at is not None
            self.revoked |= self.kind.revokes and was_replaced
            return INVALID_GRANT
        assert token is not None
        self.has_refused = self._refuses(now)
        if self.has_refused:
            return INVALID_GRANT
        self.use(refresh_token, now)
        if token.successor is not None and self.kind.repeats:
            return token.successor
        replaces = self.kind.rotation is RotationKind.ALWAYS or (
            self.kind.rotation is RotationKind.OPTIONAL and rotates
        )
        response = self._issue(now, with_refresh_token=replaces)
        if replaces:
            token.replaced_at = token.replaced_at or now
            token.successor = response
            self.brought_by[response.access_token] = refresh_token
            self.brought_by[str(response.refresh_token)] = refresh_token
        return response

    def _refuses(self, now: datetime) -> bool:
        """Whether a refresh is refused now, and would not be later."""
        if self.refuses_until is not None and now < self.refuses_until:
            return True
        early = self.kind.refuses_early
        newest = self.access_expires_at[f"{self.name}access-{self.serial}"]
        return early is not None and newest - now > early

    def _issue(self, now: datetime, *, with_refresh_token: bool) -> TokenResponse:
        self.serial += 1
        access_token = f"{self.name}access-{self.serial}"
        refresh_token = f"{self.name}refresh-{self.serial}" if with_refresh_token else None
        self.access_expires_at[access_token] = now + self.access_life
        if refresh_token is not None:
            expires_at = now + self.refresh_life
            if self.login_ends_at is not None:
                expires_at = min(expires_at, self.login_ends_at)
            self.issued[refresh_token] = Issued(expires_at=expires_at)
        return TokenResponse(
            access_token=access_token,
            token_type="Bearer",
            expires_in=self.access_life,
            refresh_token=refresh_token,
            refresh_token_expires_in=self.refresh_life if refresh_token else None,
            scope=None,
        )
