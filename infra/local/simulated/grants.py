"""The effect of a refresh on a grant, by the data of a provider."""

import secrets
from dataclasses import dataclass, field, replace
from typing import assert_never

from domain.provider import LifetimeStart, Provider, RotationKind
from infra.local.simulated.lifetimes import Lifetimes, expiry, whole_seconds
from infra.local.simulated.state import Grant, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a response. Lifetimes are in whole seconds; None: no end, or no such token."""

    access_token: str = field(repr=False)
    expires_in: int | None
    refresh_token: str | None = field(repr=False, default=None)
    refresh_token_expires_in: int | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Issues the tokens of grants."""

    provider: Provider
    lifetimes: Lifetimes

    def begin(self, grant: Grant, now: float) -> tuple[Grant, Tokens]:
        """Return a new grant with its first tokens."""
        if self.provider.login_lifetime is not None:
            login_ends_at = now + self.provider.login_lifetime.total_seconds()
            grant = replace(grant, login_ends_at=login_ends_at)
        grant, access_token = self._with_access_token(grant, now)
        # An access token without an end needs no refresh token (GitHub, ClickUp).
        if self.lifetimes.access_token is None:
            return grant, _tokens(grant, access_token, None, now)
        grant, refresh_token = self._with_refresh_token(
            replace(grant, refresh_token_expires_at=self._next_expiry(grant, now))
        )
        return grant, _tokens(grant, access_token, refresh_token, now)

    def refresh(self, grant: Grant, now: float, *, key: str) -> tuple[Grant, Tokens]:
        """Return the grant after a refresh, with the tokens of the response.

        `key`: the digest of the refresh token. An old one is replaced in any case.
        """
        if self.provider.refresh_ends_access_token:
            grant = replace(grant, access_tokens={})
        if key == grant.refresh_token:
            grant = self.after_use(grant)
        replaces = key != grant.refresh_token or self._replaces(grant)
        if replaces:
            grant = self._without_refresh_token(grant, now)
        grant, access_token = self._with_access_token(grant, now)
        grant = replace(
            grant,
            refreshes=grant.refreshes + 1,
            refresh_token_expires_at=self._refresh_token_expiry(grant, now, replaces=replaces),
        )
        if not replaces:
            # RFC 6749 §6: the response needs no refresh token.
            return grant, _tokens(grant, access_token, None, now)
        grant, refresh_token = self._with_refresh_token(grant)
        return grant, _tokens(grant, access_token, refresh_token, now)

    def after_use(self, grant: Grant) -> Grant:
        """Return the grant after one of its newest tokens was used, which may end the grace."""
        if not self.provider.rotation.until_used or not grant.graced_refresh_tokens:
            return grant
        return replace(grant, graced_refresh_tokens={})

    def _replaces(self, grant: Grant) -> bool:
        match self.provider.rotation.kind:
            case RotationKind.NONE:
                return False
            case RotationKind.ALWAYS:
                return True
            case RotationKind.OPTIONAL:
                # By turns, so that both happen.
                return grant.refreshes % 2 == 0
            case _:
                assert_never(self.provider.rotation.kind)

    def _refresh_token_expiry(self, grant: Grant, now: float, *, replaces: bool) -> float:
        match self.provider.refresh_token_counted:
            case LifetimeStart.USE:
                return self._next_expiry(grant, now)
            case LifetimeStart.ISSUE if replaces:
                return self._next_expiry(grant, now)
            case LifetimeStart.ISSUE | LifetimeStart.LOGIN:
                return grant.refresh_token_expires_at
            case _:
                assert_never(self.provider.refresh_token_counted)

    def _next_expiry(self, grant: Grant, now: float) -> float:
        """Return the expiry of a lifetime that starts now. The login may end before."""
        return min(expiry(now, self.lifetimes.refresh_token), grant.login_ends_at)

    def _without_refresh_token(self, grant: Grant, now: float) -> Grant:
        """Replace the refresh token. Within the grace the provider still accepts it."""
        key, known_until = grant.refresh_token, grant.refresh_token_expires_at
        accepted_until = min(known_until, now + self.provider.rotation.grace.total_seconds())
        return replace(
            grant,
            replaced_refresh_tokens={**grant.replaced_refresh_tokens, key: known_until},
            graced_refresh_tokens={**grant.graced_refresh_tokens, key: accepted_until},
        )

    def _with_access_token(self, grant: Grant, now: float) -> tuple[Grant, str]:
        access_token = secrets.token_urlsafe(24)
        expires_at = expiry(now, self.lifetimes.access_token)
        access_tokens = {**grant.access_tokens, digest(access_token): expires_at}
        return replace(grant, access_tokens=access_tokens), access_token

    def _with_refresh_token(self, grant: Grant) -> tuple[Grant, str]:
        refresh_token = secrets.token_urlsafe(24)
        return replace(grant, refresh_token=digest(refresh_token)), refresh_token


def _tokens(grant: Grant, access_token: str, refresh_token: str | None, now: float) -> Tokens:
    return Tokens(
        access_token=access_token,
        expires_in=whole_seconds(now, grant.access_tokens[digest(access_token)]),
        refresh_token=refresh_token,
        refresh_token_expires_in=(
            None if refresh_token is None else whole_seconds(now, grant.refresh_token_expires_at)
        ),
        scope=grant.scope,
    )
