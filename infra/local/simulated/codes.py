"""Authorization requests, and the checks of their codes: rules 1 and 2 of `rules.py`."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.authorization import code_challenge
from domain.provider import ClientAuthentication, Pkce, Provider
from infra.local.simulated.assertions import ClientKey
from infra.local.simulated.refusals import Refusal, invalid_grant, invalid_redirect_uri, missing
from infra.local.simulated.state import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The one registered client.

    `redirect_uris`: the values that requests may have. `redirect_names`: names that they may have
    instead, such as eBay's RuName, and the URL of each. `key`: None for a client without one.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    redirect_names: Mapping[str, str] = field(default_factory=dict)
    key: ClientKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A known client's authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3)."""

    redirect_uri: str
    state: str | None = field(repr=False)
    scope: str | None = None
    code_challenge: str | None = None


def read_authorization_request(
    provider: Provider, client: Client, parameters: Mapping[str, str]
) -> AuthorizationRequest | Refusal:
    """Check an authorization request. Do not redirect a refused one."""
    if parameters.get("client_id") != client.client_id:
        return Refusal(
            reason="invalid_client",
            description="client_id query parameter has incorrect value. Send valid client_id",
        )
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in {*client.redirect_uris, *client.redirect_names}:
        return invalid_redirect_uri(redirect_uri)
    if parameters.get("response_type") != "code":
        return Refusal(reason="invalid_request", description="Response type must be code")
    challenge = parameters.get("code_challenge") or None
    if challenge is not None and parameters.get("code_challenge_method") != "S256":
        return Refusal(reason="invalid_request", description="code_challenge_method must be S256")
    if challenge is None and is_public(provider):
        return missing("code_challenge")
    return AuthorizationRequest(
        redirect_uri=redirect_uri,
        state=parameters.get("state") or None,
        scope=parameters.get("scope") or None,
        code_challenge=challenge if provider.pkce is Pkce.S256 else None,
    )


def is_public(provider: Provider) -> bool:
    """Whether the provider's clients have no secret (RFC 6749 §2.1)."""
    return provider.client_authentication is ClientAuthentication.NONE


def required_with_code(provider: Provider) -> list[str]:
    """Return the parameters that a request with a code must have (RFC 6749 §4.1.3)."""
    return [name for name in ("code", "redirect_uri") if not _omits(provider, name)]


def check_code(
    provider: Provider, code: Code | None, form: Mapping[str, str], now: float
) -> Code | Refusal:
    """Check a request with a code. `code` is None if it is unknown."""
    if code is None or code.expires_at <= now:
        return invalid_grant("the code is unknown or has expired")
    redirect_uri = form.get("redirect_uri", code.redirect_uri)
    if redirect_uri != code.redirect_uri:
        return invalid_redirect_uri(redirect_uri)
    if code.code_challenge is None or _omits(provider, "code_verifier"):
        return code
    verifier = form.get("code_verifier", "")
    # RFC 7636 §4.6.
    expected = code.code_challenge.encode()
    if verifier.isascii() and secrets.compare_digest(code_challenge(verifier).encode(), expected):
        return code
    return invalid_grant("the code verifier does not match the code challenge")


def _omits(provider: Provider, name: str) -> bool:
    """Whether token requests to the provider do not have a parameter of RFC 6749."""
    return provider.wire is not None and provider.wire.token_request_names.get(name) == ""
