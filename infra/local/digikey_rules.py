"""A simulated Digi-Key's rules: the issue, expiry and revocation of codes and tokens.

The rules, in the order of the code:

1. A client and its redirect URI must match exactly (RFC 6749 §3.1.2.3).
2. A code expires after a minute, is valid once, and only with its redirect URI (§4.1.3).
   A second use revokes its tokens (§4.1.2).
3. A refresh returns a new refresh token and revokes the old one at once, without a grace period.
4. The use of a replaced refresh token revokes its whole grant, with the access tokens
   (RFC 9700 §4.14.2). One of its two holders is a thief, and the server cannot know which.
5. A code or token is invalid from the instant of its expiry.
"""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from infra.local.digikey_state import Code, Grant, RevokedGrant, State, digest

# Enough for a person to understand what happened, and a limit to the state.
MAX_REVOKED_GRANTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The one registered client."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """The lifetimes of new codes and tokens, in seconds."""

    code: float
    access_token: float
    refresh_token: float


DIGIKEY_LIFETIMES = Lifetimes(code=60.0, access_token=30 * 60.0, refresh_token=90 * 24 * 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A known client's authorization request (RFC 6749 §4.1.1)."""

    redirect_uri: str
    state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a response. Both lifetimes are in whole seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_token_expires_in: int


RefusalReason: TypeAlias = Literal[
    "invalid_client",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_grant",
    "unsupported_grant_type",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The reason of a refusal. The description is for people."""

    reason: RefusalReason
    description: str


class AuthorizationServer:
    """Applies the rules to `state`, an immutable value that each change replaces."""

    def __init__(
        self,
        *,
        client: Client,
        lifetimes: Lifetimes,
        state: State,
        now: Callable[[], float],
    ) -> None:
        self.client = client
        self.lifetimes = lifetimes
        self.state = state
        self._now = now

    def now(self) -> float:
        """Return the simulated time, which `shift_clock` moves."""
        return self._now() + self.state.clock_shift

    def shift_clock(self, seconds: float) -> None:
        """Move the clock forward or back. Expiries that are already set stay."""
        self.state = replace(self.state, clock_shift=self.state.clock_shift + seconds)

    def read_authorization_request(
        self, parameters: Mapping[str, str]
    ) -> AuthorizationRequest | Refusal:
        """Check an authorization request. Do not redirect a refused one."""
        if parameters.get("client_id") != self.client.client_id:
            return Refusal(
                reason="invalid_client",
                description="client_id query parameter has incorrect value. Send valid client_id",
            )
        redirect_uri = parameters.get("redirect_uri", "")
        if redirect_uri not in self.client.redirect_uris:
            return _invalid_redirect_uri(redirect_uri)
        if parameters.get("response_type") != "code":
            return Refusal(reason="invalid_request", description="Response type must be code")
        return AuthorizationRequest(
            redirect_uri=redirect_uri, state=parameters.get("state") or None
        )

    def give_code(self, request: AuthorizationRequest) -> str:
        """Return a new code for a request that the person has allowed."""
        now = self.now()
        code = secrets.token_urlsafe(24)
        remembered = Code(redirect_uri=request.redirect_uri, expires_at=now + self.lifetimes.code)
        present = self.state.without_expired(now)
        self.state = replace(present, codes={**present.codes, digest(code): remembered})
        return code

    def answer_token_request(self, form: Mapping[str, str]) -> Tokens | Refusal:
        """Check a token request and return new tokens, already part of `state`, or the refusal."""
        if not self._is_authenticated(form):
            return Refusal(
                reason="invalid_client", description="clientId invalid for requested resource"
            )
        now = self.now()
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange_code(form, now)
            case "refresh_token":
                return self._refresh(form, now)
            case None:
                return _missing("grant_type")
            case _:
                return Refusal(
                    reason="unsupported_grant_type",
                    description="only authorization_code and refresh_token are supported",
                )

    def is_access_token_valid(self, access_token: str) -> bool:
        """Whether a protected resource accepts the token now."""
        now, key = self.now(), digest(access_token)
        return any(now < grant.access_tokens.get(key, now) for grant in self.state.grants.values())

    def _is_authenticated(self, form: Mapping[str, str]) -> bool:
        given = form.get("client_secret", "").encode()
        return form.get("client_id") == self.client.client_id and secrets.compare_digest(
            given, self.client.client_secret.encode()
        )

    def _exchange_code(self, form: Mapping[str, str], now: float) -> Tokens | Refusal:
        for name in ("code", "redirect_uri"):
            if name not in form:
                return _missing(name)
        key = digest(form["code"])
        for grant_id, grant in self.state.grants.items():
            if grant.code == key:
                self._revoke(grant_id, "its authorization code was used twice", now)
                return _invalid_grant("the code was used before; its tokens are revoked")
        code = self.state.codes.get(key)
        if code is None or code.expires_at <= now:
            return _invalid_grant("the code is unknown or has expired")
        if form["redirect_uri"] != code.redirect_uri:
            return _invalid_redirect_uri(form["redirect_uri"])
        self.state = replace(
            self.state, codes={k: v for k, v in self.state.codes.items() if k != key}
        )
        return self._give_tokens(secrets.token_hex(4), Grant(code=key, given_at=now), now)

    def _refresh(self, form: Mapping[str, str], now: float) -> Tokens | Refusal:
        if "refresh_token" not in form:
            return _missing("refresh_token")
        key = digest(form["refresh_token"])
        for grant_id, grant in self.state.grants.items():
            if key in grant.replaced_refresh_tokens:
                self._revoke(grant_id, "a refresh token that had been replaced was used", now)
                return _invalid_grant("the refresh token was replaced; its grant is revoked")
            if key == grant.refresh_token and now < grant.refresh_token_expires_at:
                replaced = {**grant.replaced_refresh_tokens, key: grant.refresh_token_expires_at}
                return self._give_tokens(
                    grant_id, replace(grant, replaced_refresh_tokens=replaced), now
                )
        return _invalid_grant("the refresh token is unknown, has expired or was revoked")

    def _give_tokens(self, grant_id: str, grant: Grant, now: float) -> Tokens:
        """Add an access token to the grant, and replace its refresh token."""
        tokens = Tokens(
            access_token=secrets.token_urlsafe(24),
            refresh_token=secrets.token_urlsafe(24),
            expires_in=_whole_seconds(self.lifetimes.access_token),
            refresh_token_expires_in=_whole_seconds(self.lifetimes.refresh_token),
        )
        expires_at = now + self.lifetimes.access_token
        grant = replace(
            grant,
            access_tokens={**grant.access_tokens, digest(tokens.access_token): expires_at},
            refresh_token=digest(tokens.refresh_token),
            refresh_token_expires_at=now + self.lifetimes.refresh_token,
        )
        state = replace(self.state, grants={**self.state.grants, grant_id: grant})
        self.state = state.without_expired(now)
        return tokens

    def _revoke(self, grant_id: str, because: str, now: float) -> None:
        grant = self.state.grants[grant_id]
        revoked = RevokedGrant(given_at=grant.given_at, revoked_at=now, because=because)
        self.state = replace(
            self.state,
            grants={k: v for k, v in self.state.grants.items() if k != grant_id},
            revoked=(revoked, *self.state.revoked)[:MAX_REVOKED_GRANTS],
        )


def _whole_seconds(lifetime: float) -> int:
    # Digi-Key reports 1799 for its 1800 s, and 7775999 for its 7776000.
    return math.ceil(lifetime) - 1


def _missing(name: str) -> Refusal:
    return Refusal(reason="invalid_request", description=f"Required param : {name}")


def _invalid_redirect_uri(redirect_uri: str) -> Refusal:
    return Refusal(
        reason="invalid_redirect_uri", description=f"Invalid redirection uri {redirect_uri}"
    )


def _invalid_grant(description: str) -> Refusal:
    return Refusal(reason="invalid_grant", description=description)
