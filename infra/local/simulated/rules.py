"""A simulated provider's rules: the issue, expiry and revocation of codes and tokens.

The rules, in the order of the code. `Provider` has what differs between providers:

1. A client and its redirect URI must match exactly (RFC 6749 §3.1.2.3). A public client must use
   PKCE (RFC 9700 §2.1.1).
2. A code expires after a minute, is valid once, and only with its redirect URI and code verifier
   (§4.1.3, RFC 7636 §4.6). A second use revokes its tokens (§4.1.2).
3. A refresh does what the preset's rotation says. A replaced refresh token is invalid at once, or
   after the grace period, in which it returns another new one. The use of a new token may end that.
4. The use of a replaced refresh token revokes its whole grant, with the access tokens
   (RFC 9700 §4.14.2). One of its two holders is a thief, and the server cannot know which.
5. A code or token is invalid from the instant of its expiry.
6. The client itself gets an access token without a refresh token (§4.4).
7. The revocation of a token revokes its grant (RFC 7009 §2.1).
8. A client assertion is accepted once, before its expiry, with the client's key (RFC 7523 §3).
   Its time is this machine's: the moved clock is for codes and tokens.
"""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from domain.provider import ClientAuthentication, Provider
from infra.local.simulated.assertions import accept_assertion
from infra.local.simulated.codes import (
    AuthorizationRequest,
    Client,
    check_code,
    is_public,
    read_authorization_request,
    required_with_code,
)
from infra.local.simulated.grants import Issuer, Tokens
from infra.local.simulated.lifetimes import Lifetimes, expiry, whole_seconds
from infra.local.simulated.refusals import Refusal, invalid_grant, missing
from infra.local.simulated.state import Code, Grant, RevokedGrant, State, digest

# Enough for a person to understand what happened, and a limit to the state.
MAX_REVOKED_GRANTS = 20


class AuthorizationServer:
    """Applies the rules to `state`, an immutable value that each change replaces."""

    def __init__(
        self,
        *,
        provider: Provider,
        client: Client,
        lifetimes: Lifetimes,
        state: State,
        now: Callable[[], float],
    ) -> None:
        self.provider = provider
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
        return read_authorization_request(self.provider, self.client, parameters)

    def give_code(self, request: AuthorizationRequest) -> str:
        """Return a new code for a request that the person has allowed."""
        now = self.now()
        code = secrets.token_urlsafe(24)
        remembered = Code(
            redirect_uri=request.redirect_uri,
            expires_at=now + self.lifetimes.code,
            code_challenge=request.code_challenge,
            scope=request.scope,
        )
        present = self.state.without_expired(now)
        self.state = replace(present, codes={**present.codes, digest(code): remembered})
        return code

    def answer_token_request(self, form: Mapping[str, str]) -> Tokens | Refusal:
        """Check a token request and return new tokens, already part of `state`, or the refusal."""
        if not self.is_authenticated(form):
            return Refusal(
                reason="invalid_client", description="clientId invalid for requested resource"
            )
        now = self.now()
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange_code(form, now)
            case "refresh_token":
                return self._refresh(form, now)
            case "client_credentials" if not is_public(self.provider):
                return self._give_client_token(form, now)
            case None:
                return missing("grant_type")
            case _:
                return Refusal(
                    reason="unsupported_grant_type",
                    description="only authorization_code, refresh_token and client_credentials "
                    "are supported",
                )

    def use_access_token(self, access_token: str) -> bool:
        """Whether a protected resource accepts the token now. Its use may end a grace."""
        key = digest(access_token)
        for grant_id, grant in self.state.grants.items():
            if key == grant.newest_access_token:
                after = self._issuer().after_use(grant)
                if after is not grant:
                    self.state = replace(self.state, grants={**self.state.grants, grant_id: after})
        return self.is_access_token_valid(access_token)

    def is_access_token_valid(self, access_token: str) -> bool:
        """Whether an access token is valid now."""
        now, key = self.now(), digest(access_token)
        expiries = [
            self.state.client_tokens,
            *(g.access_tokens for g in self.state.grants.values()),
        ]
        return any(now < each.get(key, now) for each in expiries)

    def is_authenticated(self, form: Mapping[str, str]) -> bool:
        """Whether a request is from the client. An assertion in it is used up."""
        if form.get("client_id") != self.client.client_id:
            return False
        match self.provider.client_authentication:
            case ClientAuthentication.NONE:
                return True
            case ClientAuthentication.PRIVATE_KEY_JWT:
                return self._accept_assertion(form)
            case _:
                given = form.get("client_secret", "").encode()
                return secrets.compare_digest(given, self.client.client_secret.encode())

    def revoke_tokens(self, tokens: list[str]) -> None:
        """Revoke the grants of these tokens. Unknown ones are ignored (RFC 7009 §2.2)."""
        now, keys = self.now(), [digest(token) for token in tokens]
        for grant_id, grant in self.state.grants.items():
            if any(map(grant.owns, keys)):
                self._revoke(grant_id, "the client revoked it", now)
        remaining = {k: v for k, v in self.state.client_tokens.items() if k not in keys}
        if len(remaining) < len(self.state.client_tokens):
            self.state = replace(self.state, client_tokens=remaining)

    def revoke_all(self) -> None:
        """Revoke all grants, as a person does in the settings of an account."""
        for grant_id in self.state.grants:
            self._revoke(grant_id, "it was revoked on the control page", self.now())

    def _exchange_code(self, form: Mapping[str, str], now: float) -> Tokens | Refusal:
        for name in required_with_code(self.provider):
            if name not in form:
                return missing(name)
        key = digest(form["code"])
        for grant_id, grant in self.state.grants.items():
            if grant.code == key:
                self._revoke(grant_id, "its authorization code was used twice", now)
                return invalid_grant("the code was used before; its tokens are revoked")
        code = check_code(self.provider, self.state.codes.get(key), form, now)
        if isinstance(code, Refusal):
            return code
        self.state = replace(
            self.state, codes={k: v for k, v in self.state.codes.items() if k != key}
        )
        grant = Grant(code=key, given_at=now, scope=code.scope)
        return self._keep(secrets.token_hex(4), *self._issuer().begin(grant, now))

    def _refresh(self, form: Mapping[str, str], now: float) -> Tokens | Refusal:
        if "refresh_token" not in form:
            return missing("refresh_token")
        key = digest(form["refresh_token"])
        for grant_id, grant in self.state.grants.items():
            is_replaced = key in grant.replaced_refresh_tokens
            if is_replaced and grant.graced_refresh_tokens.get(key, now) <= now:
                self._revoke(grant_id, "a refresh token that had been replaced was used", now)
                return invalid_grant("the refresh token was replaced; its grant is revoked")
            if is_replaced or (key == grant.refresh_token and now < grant.refresh_token_expires_at):
                refusal = self._refuse_early(grant, now)
                return refusal or self._keep(grant_id, *self._issuer().refresh(grant, now, key=key))
        return invalid_grant("the refresh token is unknown, has expired or was revoked")

    def _refuse_early(self, grant: Grant, now: float) -> Refusal | None:
        """Refuse a refresh while an access token is valid for too long (Exact Online)."""
        only_within = self.provider.refresh_only_within
        left = max(grant.access_tokens.values(), default=now) - now
        if only_within is None or left <= only_within.total_seconds():
            return None
        return Refusal(
            reason="too_early",
            description="the access token is valid for longer than refreshes are allowed",
            retry_after=math.ceil(left - only_within.total_seconds()),
        )

    def _give_client_token(self, form: Mapping[str, str], now: float) -> Tokens:
        access_token = secrets.token_urlsafe(24)
        expires_at = expiry(now, self.lifetimes.client_credentials)
        present = self.state.without_expired(now)
        client_tokens = {**present.client_tokens, digest(access_token): expires_at}
        self.state = replace(present, client_tokens=client_tokens)
        return Tokens(
            access_token=access_token,
            expires_in=whole_seconds(now, expires_at),
            scope=form.get("scope"),
        )

    def _accept_assertion(self, form: Mapping[str, str]) -> bool:
        key, client_id = self.client.key, self.client.client_id
        if key is None:
            return False
        after = accept_assertion(self.state, key, form, client_id=client_id, now=self._now())
        self.state = after or self.state
        return after is not None

    def _issuer(self) -> Issuer:
        return Issuer(provider=self.provider, lifetimes=self.lifetimes)

    def _keep(self, grant_id: str, grant: Grant, tokens: Tokens) -> Tokens:
        state = replace(self.state, grants={**self.state.grants, grant_id: grant})
        self.state = state.without_expired(self.now())
        return tokens

    def _revoke(self, grant_id: str, because: str, now: float) -> None:
        grant = self.state.grants[grant_id]
        revoked = RevokedGrant(given_at=grant.given_at, revoked_at=now, because=because)
        self.state = replace(
            self.state,
            grants={k: v for k, v in self.state.grants.items() if k != grant_id},
            revoked=(revoked, *self.state.revoked)[:MAX_REVOKED_GRANTS],
        )
