"""A login: the authorization request (RFC 6749 §4.1.1, RFC 7636), and what must come back of it."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from domain.events import Precedence
from domain.provider import Provider
from domain.token_endpoint import AuthorizationCodeRequest
from domain.tokens import MAX_CLOCK_SKEW

# Time to type a password and find a second factor (RFC 9700 §4.7.1 wants it short).
LOGIN_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """A login that has begun and has not come back: what its callback is checked against.

    `code_verifier` is None where the provider has no PKCE, `issuer` where nobody knows it.
    `browser` is the fingerprint of what the browser remembers that the login began in, None where
    any may finish it. `replaces` says that it is to replace whatever works. `read` is how far the
    record had counted then (`domain.grant.place_of`), None where nobody knows. `outcome` is what
    has come of it, where it is over and only remembered.
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

    def is_valid(self, now: datetime) -> bool:
        """Whether it may still come back; not where a clock that was ahead says so for longer."""
        return now < self.expires_at <= now + LOGIN_LIFETIME + MAX_CLOCK_SKEW

    def is_issuer_valid(self, issuer: str | None) -> bool:
        """Whether the `iss` of a redirect, None where it has none, lets it pass (RFC 9207 §2.4)."""
        if self.issuer is None:
            return True
        if issuer is None:
            return not self.issuer_is_required
        return issuer == self.issuer

    def is_same_browser(self, browser: str | None) -> bool:
        """Whether a browser that remembers this may finish the login (RFC 9700 §4.7.1)."""
        if self.browser is None:
            return True
        return browser is not None and hmac.compare_digest(fingerprint(browser), self.browser)

    @property
    def precedence(self) -> Precedence:
        """What it may do to a grant that works: who began it without the API key replaces none."""
        if self.browser is not None:
            return Precedence.YIELDS
        return Precedence.REPLACES if self.replaces else Precedence.RENEWS

    def code_request(self, code: str) -> AuthorizationCodeRequest:
        """Trade the code that came back (RFC 6749 §4.1.3: the redirect URI must be identical)."""
        return AuthorizationCodeRequest(
            code=code, redirect_uri=self.redirect_uri, code_verifier=self.code_verifier
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the provider's redirect carries (RFC 6749 §4.1.2, RFC 9207 §2): a code, or an error.

    `browser` is what the browser remembers of this login.
    """

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    issuer: str | None
    browser: str | None = field(repr=False, default=None)


def sign_state(token: str, key: bytes) -> str:
    """Make a state of a random token, by which it is known to have been given out here."""
    return f"{token}-{hmac.digest(key, token.encode(), 'sha256').hex()[:32]}"


def is_signed(state: str, keys: Sequence[bytes]) -> bool:
    """Whether a state was signed with one of the keys."""
    token, _, _ = state.rpartition("-")
    signed = [sign_state(token, key).encode() for key in keys]
    # Every one is compared, so that which one differs does not show.
    matches = [hmac.compare_digest(state.encode(), known) for known in signed]
    return any(matches)


def login_key(state: str) -> str:
    """Name a pending login in the store, so that who reads the store cannot finish the login."""
    return fingerprint(state)


def fingerprint(secret: str) -> str:
    """Tell one random text from another without telling what it is."""
    return sha256(secret.encode()).hexdigest()


def code_challenge(code_verifier: str) -> str:
    """Hide the verifier (RFC 7636 §4.2, S256)."""
    digest = sha256(code_verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    provider: Provider, *, client_id: str, state: str, pending: PendingLogin
) -> str:
    """Say where to send the browser (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
    parameters = {
        **dict(provider.authorization_params),
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
    endpoint = urlsplit(provider.authorization_endpoint)
    # RFC 6749 §3.1: what the endpoint's own query has stays, and nothing is there twice.
    kept = [part for part in endpoint.query.split("&") if part and _name_of(part) not in parameters]
    # Some read + as a space, as forms have it, and some as RFC 3986 does; all read %20.
    query = "&".join([*kept, urlencode(parameters, quote_via=quote)])
    return endpoint._replace(query=query).geturl()


def _name_of(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])
