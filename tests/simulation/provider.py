"""The kinds of providers, and their differences beyond `tests.domain.provider_model`."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.provider import Provider, RotationKind
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from tests.domain.examples import DIGIKEY
from tests.domain.provider_model import Kind, ProviderModel

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class ProviderKind:
    """The `rules` of a provider, and whether its refresh ends the old access token."""

    rules: Kind
    ends_access_token: bool = False

    def declared(self, access_life: timedelta, refresh_life: timedelta) -> Provider:
        """Return the provider as the keeper knows it."""
        provider = Provider(
            name="simulated",
            authorization_endpoint=DIGIKEY.authorization_endpoint,
            token_endpoint=DIGIKEY.token_endpoint,
            refresh_ends_access_token=self.ends_access_token,
            access_token_lifetime=access_life,
            refresh_token_lifetime=refresh_life,
        )
        return self.rules.declared(provider, refresh_life)

    def simulated(
        self, access_life: timedelta, refresh_life: timedelta, *, name: str
    ) -> "SimulatedProvider":
        """Return one login at the provider; `name` marks its tokens."""
        return SimulatedProvider(
            kind=self.rules,
            access_life=access_life,
            refresh_life=refresh_life,
            name=name,
            ends_access_token=self.ends_access_token,
        )


KINDS = {
    "no-rotation": ProviderKind(rules=Kind(rotation=RotationKind.NONE)),
    # The end of an access token by one clock is near that by another.
    "no-rotation-refuses-early": ProviderKind(
        rules=Kind(rotation=RotationKind.NONE, refuses_early=timedelta(seconds=30))
    ),
    "no-rotation-refuses-for-minutes": ProviderKind(
        rules=Kind(rotation=RotationKind.NONE, refuses_for=4 * _MINUTE)
    ),
    "optional": ProviderKind(rules=Kind(rotation=RotationKind.OPTIONAL)),
    "grace-repeats": ProviderKind(
        rules=Kind(rotation=RotationKind.ALWAYS, grace=10 * _MINUTE, repeats=True)
    ),
    "overlap": ProviderKind(
        rules=Kind(rotation=RotationKind.ALWAYS, grace=3 * _MINUTE, revokes=True)
    ),
    "short-repeats": ProviderKind(
        rules=Kind(rotation=RotationKind.ALWAYS, grace=timedelta(seconds=30), repeats=True)
    ),
    "short-overlap": ProviderKind(
        rules=Kind(rotation=RotationKind.ALWAYS, grace=timedelta(seconds=30), revokes=True)
    ),
    "shortest-overlap": ProviderKind(
        rules=Kind(rotation=RotationKind.ALWAYS, grace=timedelta(seconds=10), revokes=True)
    ),
    # As RingCentral.
    "until-used-repeats": ProviderKind(
        rules=Kind(
            rotation=RotationKind.ALWAYS,
            grace=60 * _MINUTE,
            repeats=True,
            until_used=True,
            after_use=timedelta(seconds=10),
        )
    ),
    # For as long as Shopify.
    "until-used-revokes": ProviderKind(
        rules=Kind(
            rotation=RotationKind.ALWAYS,
            grace=timedelta(days=30),
            until_used=True,
            revokes=True,
        )
    ),
    "short-until-used": ProviderKind(
        rules=Kind(
            rotation=RotationKind.ALWAYS,
            grace=timedelta(seconds=61),
            until_used=True,
            revokes=True,
        )
    ),
    "no-grace": ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS)),
    # As Exact Online.
    "early-declared": ProviderKind(
        rules=Kind(
            rotation=RotationKind.ALWAYS,
            refuses_early=timedelta(seconds=30),
            is_early_declared=True,
        )
    ),
    # As Atlassian.
    "login-ends": ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS, login_lives=1.2)),
    "reuse-revokes": ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS, revokes=True)),
    "ends-access": ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS), ends_access_token=True),
    "no-rotation-ends-access": ProviderKind(
        rules=Kind(rotation=RotationKind.NONE), ends_access_token=True
    ),
}

SHORT_GRACE = tuple(
    name for name, kind in KINDS.items() if timedelta(0) < kind.rules.grace < _MINUTE
)
LONG_GRACE = tuple(name for name, kind in KINDS.items() if kind.rules.grace >= _MINUTE)
UNTIL_USED = tuple(name for name, kind in KINDS.items() if kind.rules.until_used)
# A daily sweep keeps these for ever.
KEPT_IDLE = tuple(
    name
    for name, kind in KINDS.items()
    if kind.rules.rotation is RotationKind.ALWAYS and kind.rules.login_lives is None
)
REFUSING = tuple(name for name, kind in KINDS.items() if kind.rules.refuses_what_lives)
ROTATING = tuple(name for name, kind in KINDS.items() if kind.rules.rotation is RotationKind.ALWAYS)


@dataclass(kw_only=True)
class SimulatedProvider(ProviderModel):
    """The model, with a memory of which access tokens were ended before their time."""

    ends_access_token: bool = False
    ended_at: dict[str, datetime] = field(default_factory=dict)
    # The account that its answers name; None if they name none.
    subject: str | None = None

    def log_in(self, now: datetime) -> TokenResponse:
        """Start over: what was issued before is over."""
        self._end_access_tokens(now)
        return super().log_in(now)

    def refresh(
        self, refresh_token: str, now: datetime, *, rotates: bool
    ) -> TokenResponse | TokenErrorResponse:
        """Act on a refresh, and end the access tokens that it ends."""
        before = self.serial
        if self.ends_access_token and self.honours(refresh_token, now):
            self._end_access_tokens(now)
        was_revoked = self.revoked
        response = super().refresh(refresh_token, now, rotates=rotates)
        if self.revoked and not was_revoked:
            self._end_access_tokens(now)
        assert self.serial - before in {0, 1}
        if self.subject is not None and isinstance(response, TokenResponse):
            return replace(response, subject=self.subject)
        return response

    def revoke(self, token: str) -> None:
        """End one refresh token, and no other (RFC 7009 §2.1 leaves that to the provider)."""
        self.issued.pop(token, None)

    def works(self, access_token: str, now: datetime) -> bool:
        """Whether a resource server would take this access token."""
        return now < self.access_expires_at[access_token] and access_token not in self.ended_at

    def _end_access_tokens(self, now: datetime) -> None:
        for token in self.access_expires_at:
            self.ended_at.setdefault(token, now)
