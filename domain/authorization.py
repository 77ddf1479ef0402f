"""A login: the authorization request (RFC 6749 §4.1.1, RFC 7636), and the check of its response."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from domain.events import Precedence
from domain.extra import Extra
from domain.provider import Provider
from domain.token_endpoint import AuthorizationCodeRequest
from domain.tokens import MAX_CLOCK_SKEW

# Enough for a password and a second factor (RFC 9700 §4.7.1 wants it short).
LOGIN_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """A login that waits for its callback.

    - `code_verifier`: None without PKCE. `issuer`: None if unknown.
    - `browser`: the fingerprint of the cookie of the browser that began the login. None if any
      browser may finish it.
    - `replaces`: whether the login replaces a grant that works. `renews`: as that, for a login by a
      link, and only by one that is as good (`events.Precedence`).
    - `read`: the count of the record at the start (`domain.grant.place_of`). None if unknown.
    - `outcome`: the result of a login that has ended, for a repeated callback.
    """

    connection: str
    redirect_uri: str
    code_verifier: str | None = field(repr=False)
    expires_at: datetime
    issuer: str | None = None
    issuer_is_required: bool = False
    browser: str | None = None
    replaces: bool = False
    read: int | None = None
    outcome: str | None = None
    renews: bool = False

    def is_valid(self, now: datetime) -> bool:
        """Whether the login has not expired. An expiry too far ahead is from a wrong clock."""
        return now < self.expires_at <= now + LOGIN_LIFETIME + MAX_CLOCK_SKEW

    def is_issuer_valid(self, issuer: str | None) -> bool:
        """Whether the `iss` of the redirect is the expected one (RFC 9207 §2.4)."""
        if self.issuer is None:
            return True
        if issuer is None:
            return not self.issuer_is_required
        return issuer == self.issuer

    def is_same_browser(self, browser: str | None) -> bool:
        """Whether a browser with this cookie may finish the login (RFC 9700 §4.7.1)."""
        if self.browser is None:
            return True
        return browser is not None and hmac.compare_digest(fingerprint(browser), self.browser)

    @property
    def precedence(self) -> Precedence:
        """The precedence over a grant that works: by a link that does not renew, it yields."""
        if self.browser is not None and not self.renews:
            return Precedence.YIELDS
        return Precedence.REPLACES if self.replaces else Precedence.RENEWS

    def code_request(self, code: str) -> AuthorizationCodeRequest:
        """Return the token request (RFC 6749 §4.1.3: the redirect URI must be identical)."""
        return AuthorizationCodeRequest(
            code=code, redirect_uri=self.redirect_uri, code_verifier=self.code_verifier
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """The parameters of the provider's redirect (RFC 6749 §4.1.2, RFC 9207 §2).

    `code` is None after an error. `browser` is the browser's cookie for this login. `extra` has the
    provider's `callback_members`.
    """

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    issuer: str | None
    browser: str | None = field(repr=False, default=None)
    extra: Extra = field(repr=False, default=())


def sign_state(token: str, key: bytes) -> str:
    """Return a state that proves that this deployment made it, from a random token."""
    return f"{token}-{hmac.digest(key, token.encode(), 'sha256').hex()[:32]}"


def is_signed(state: str, keys: Sequence[bytes]) -> bool:
    """Whether a state was signed with one of the keys."""
    token, _, _ = state.rpartition("-")
    signed = [sign_state(token, key).encode() for key in keys]
    # Compare all, so that the time does not reveal which one differs.
    matches = [hmac.compare_digest(state.encode(), known) for known in signed]
    return any(matches)


def login_key(state: str) -> str:
    """Return the key of a pending login in the store. The state cannot be derived from it."""
    return fingerprint(state)


def fingerprint(secret: str) -> str:
    """Return a text that identifies a random secret without revealing it."""
    return sha256(secret.encode()).hexdigest()


def code_challenge(code_verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 §4.2)."""
    digest = sha256(code_verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    provider: Provider, *, client_id: str, state: str, pending: PendingLogin
) -> str:
    """Return the URL to send the browser to (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": pending.redirect_uri,
        "state": state,
    }
    if provider.scope is not None:
        parameters["scope"] = provider.scope
    if pending.code_verifier is not None:
        parameters["code_challenge"] = code_challenge(pending.code_verifier)
        parameters["code_challenge_method"] = "S256"
    if provider.wire is not None:
        parameters = _renamed(parameters, provider.wire.authorization_names)
    added = [pair for pair in provider.authorization_params if pair[0] not in parameters]
    asked = [*added, *parameters.items()]
    endpoint = urlsplit(provider.authorization_endpoint)
    # RFC 6749 §3.1: the endpoint's own query stays, and replaces or repeats no parameter.
    names = {name for name, _ in asked}
    kept = [part for part in endpoint.query.split("&") if part and _name_of(part) not in names]
    # Some servers read + as a space, as in forms, and some as a plus. All read %20.
    query = "&".join([*kept, urlencode(asked, quote_via=quote)])
    return endpoint._replace(query=query).geturl()


def _renamed(parameters: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters under the provider's names, without those whose name is empty."""
    found = ((names.get(name, name), value) for name, value in parameters.items())
    return {name: value for name, value in found if name}


def _name_of(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])
