"""The parser of the metadata that an issuer publishes (RFC 8414 §2, OpenID Connect)."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from adapters.nearness import Nearness, nearness_of
from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import ClientAuthentication, GrantType, Pkce

_LONGEST_QUOTE = 200
_NOT_SAFE = "neither https nor on this machine"


# LinkedIn accepts the credentials in the form only ("Authorization Code Flow", step 3).
_UNLISTED_METHODS = {"www.linkedin.com": ClientAuthentication.POST}


class UnusableMetadataError(Exception):
    """The issuer's metadata cannot be used. The message quotes little of it.

    `may_pass`: whether a retry can succeed.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def _require_safe(url: str) -> str:
    if not is_safe_url(url):
        raise ValueError(_NOT_SAFE)
    return url


def _nearness(url: str) -> Nearness:
    return nearness_of(urlsplit(url).hostname or "")


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


_Endpoint = Annotated[str, Field(strict=True), AfterValidator(_require_safe)]


class _Document(BaseModel):
    """The members that are read. All others are ignored (RFC 8414 §3.2)."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    issuer: str
    # RFC 8414 §2: required only if a supported grant type uses it.
    authorization_endpoint: _Endpoint | None = None
    token_endpoint: _Endpoint
    revocation_endpoint: _Endpoint | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    code_challenge_methods_supported: list[str] = []
    # RFC 9207 §3.
    authorization_response_iss_parameter_supported: bool = False

    def endpoints(self) -> list[str]:
        urls = (self.authorization_endpoint, self.token_endpoint, self.revocation_endpoint)
        return [url for url in urls if url is not None]


def read_metadata(
    members: dict[str, Any] | None,
    issuer: str,
    grant_type: GrantType = GrantType.AUTHORIZATION_CODE,
) -> ServerMetadata:
    """Read a document; None stands for an invalid one. Raises UnusableMetadataError."""
    if members is None:
        raise UnusableMetadataError("not a JSON object")
    try:
        document = _Document.model_validate(members)
    except ValidationError as error:
        faults = sorted({_describe(fault) for fault in error.errors()})
        raise UnusableMetadataError(f"not usable: {', '.join(faults)}") from error
    is_login = grant_type is GrantType.AUTHORIZATION_CODE
    if is_login and document.authorization_endpoint is None:
        raise UnusableMetadataError("not usable: authorization_endpoint")
    if document.issuer != issuer:
        # RFC 8414 §3.3: identical, or another server could pose as this one.
        raise UnusableMetadataError(f"its issuer is {_quote(document.issuer)}")
    if _is_https(issuer) and not all(map(_is_https, document.endpoints())):
        # An issuer elsewhere must not direct requests to this machine.
        raise UnusableMetadataError("an endpoint is on loopback, and its issuer is not")
    if max(map(_nearness, document.endpoints())) > _nearness(issuer):
        # `Network` applies the same rule to names when it resolves them.
        raise UnusableMetadataError(
            "an endpoint is on loopback or in a network, and its issuer is not"
        )
    return ServerMetadata(
        issuer=issuer,
        authorization_endpoint=document.authorization_endpoint,
        token_endpoint=document.token_endpoint,
        revocation_endpoint=document.revocation_endpoint,
        client_authentication=_client_authentication(
            document.token_endpoint_auth_methods_supported, issuer
        ),
        pkce=_pkce(document.code_challenge_methods_supported),
        sends_issuer=document.authorization_response_iss_parameter_supported,
    )


def _describe(fault: ErrorDetails) -> str:
    """Name the invalid member, and an unsafe URL: behind a proxy, it is often http."""
    place = ".".join(map(str, fault["loc"]))
    return f"{place} is {_NOT_SAFE}" if _NOT_SAFE in fault["msg"] else place


def _quote(issuer: str) -> str:
    """Quote the other issuer, with advice for Entra's multi-tenant issuer."""
    if "{tenantid}" in issuer:
        return f"{issuer!a}: put the tenant's id in ISSUER instead of common"
    return ascii(issuer[:_LONGEST_QUOTE])


def _client_authentication(supported: list[str] | None, issuer: str) -> ClientAuthentication | None:
    """Prefer the form: servers agree more on its encoding."""
    if supported is None:
        # RFC 8414 §2: Basic is the default. Some servers mean another one.
        host = urlsplit(issuer).hostname or ""
        return _UNLISTED_METHODS.get(host, ClientAuthentication.BASIC)
    preferred = (ClientAuthentication.POST, ClientAuthentication.BASIC)
    return next((method for method in preferred if method.value in supported), None)


def _pkce(supported: list[str]) -> Pkce | None:
    """Return the supported method, or None to use the preset if nothing is supported.

    Microsoft and Salesforce support PKCE without offering it. Other servers ignore unknown
    parameters (RFC 6749 §3.1).
    """
    if not supported:
        return None
    return Pkce.S256 if "S256" in supported else Pkce.NONE
