"""A preset as a provider that acts: what it issues, replaces and ends, as its data states."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.provider import AssumedLifetime, LifetimeStart, Provider
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from tests.docs.providers import description
from tests.domain.provider_model import Kind
from tests.presets import NAMES, preset_named
from tests.simulation.provider import SimulatedProvider

# Longer than any test lasts.
UNLIMITED = timedelta(days=36_500)
# For a refresh token without a declared lifetime: longer than any access token that is refreshed.
_UNDECLARED = timedelta(days=400)

PRESETS = [name for name in NAMES if name != "custom"]


def kind_of(provider: Provider) -> Kind:
    """Return what the model of a provider has to know of a preset."""
    return Kind(
        rotation=provider.rotation.kind,
        grace=provider.rotation.grace,
        until_used=provider.rotation.until_used,
        refuses_early=provider.refresh_only_within,
    )


def issues_refresh_tokens(name: str) -> bool:
    """Whether there are refresh tokens at all."""
    return not description(name).lines["Refresh token"].startswith("None exists")


@dataclass(kw_only=True)
class PlayedProvider(SimulatedProvider):
    """The provider of a preset, with the lifetimes of its data or with those of its responses."""

    preset: Provider
    states_lifetimes: bool = False
    issues_refresh_tokens: bool = True
    logged_in_at: datetime | None = None

    @classmethod
    def of(
        cls, name: str, *, access_life: timedelta | None = None, issues_refresh_tokens: bool = True
    ) -> "PlayedProvider":
        """Play a preset. `access_life`: what responses state; None if they state no lifetime."""
        preset = preset_named(name)
        return cls(
            preset=preset,
            kind=kind_of(preset),
            access_life=access_life or _declared(preset, can_refresh=issues_refresh_tokens),
            refresh_life=preset.refresh_token_lifetime or _UNDECLARED,
            ends_access_token=preset.refresh_ends_access_token,
            states_lifetimes=access_life is not None,
            issues_refresh_tokens=issues_refresh_tokens,
        )

    def log_in(self, now: datetime) -> TokenResponse:
        """Start over. A lifetime from the login starts too."""
        self.logged_in_at = now
        return super().log_in(now)

    def refresh(
        self, refresh_token: str, now: datetime, *, rotates: bool
    ) -> TokenResponse | TokenErrorResponse:
        """Act on a refresh. The use of a refresh token may extend it."""
        response = super().refresh(refresh_token, now, rotates=rotates)
        is_used = isinstance(response, TokenResponse)
        if is_used and self.preset.refresh_token_counted is LifetimeStart.USE:
            self.issued[refresh_token].expires_at = now + self.refresh_life
        return response

    def _issue(self, now: datetime, *, with_refresh_token: bool) -> TokenResponse:
        issued = super()._issue(
            now, with_refresh_token=with_refresh_token and self.issues_refresh_tokens
        )
        token = issued.refresh_token
        if token is not None and self.preset.refresh_token_counted is LifetimeStart.LOGIN:
            assert self.logged_in_at is not None
            self.issued[token].expires_at = self.logged_in_at + self.refresh_life
        left = None if token is None else self.issued[token].expires_at - now
        states_access = self.states_lifetimes and self.access_life < UNLIMITED
        return replace(
            issued,
            expires_in=self.access_life if states_access else None,
            refresh_token_expires_in=left if self.states_lifetimes else None,
        )


def _declared(preset: Provider, *, can_refresh: bool) -> timedelta:
    """Return how long an access token is valid of which no response states the lifetime."""
    lifetime = preset.access_token_lifetime
    if isinstance(lifetime, AssumedLifetime):
        return lifetime.lifetime if can_refresh else UNLIMITED
    return UNLIMITED if lifetime is None else lifetime
