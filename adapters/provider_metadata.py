"""The metadata that an issuer publishes, read (RFC 8414 §2; OpenID Connect Discovery 1.0 §3)."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from adapters.nearness import Nearness, nearness_of
from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import ClientAuthentication, Pkce

_LONGEST_QUOTE = 200
_NOT_SAFE = "neither https nor on this machine"


# LinkedIn takes the credentials in the form only ("Authorization Code Flow", step 3).
_UNLISTED = {"www.linkedin.com": ClientAuthentication.POST}


class UnusableMetadataError(Exception):
    """There is no metadata of the issuer; the message says why, in our own words."""

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def _safe(url: str) -> str:
    if not is_safe_url(url):
        raise ValueError(_NOT_SAFE)
    return url


def _nearness(url: str) -> Nearness:
    return nearness_of(urlsplit(url).hostname or "")


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


_Endpoint = Annotated[str, Field(strict=True), AfterValidator(_safe)]


class _Document(BaseModel):
    """What is read of it; all else is ignored (RFC 8414 §3.2)."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: _Endpoint
    token_endpoint: _Endpoint
    revocation_endpoint: _Endpoint | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    code_challenge_methods_supported: list[str] = []
    # RFC 9207 §3.
    authorization_response_iss_parameter_supported: bool = False

    def endpoints(self) -> list[str]:
        told = (self.authorization_endpoint, self.token_endpoint, self.revocation_endpoint)
        return [url for url in told if url is not None]


def read_metadata(members: dict[str, Any] | None, issuer: str) -> ServerMetadata:
    """Read a document, None for what was none. Raises UnusableMetadataError."""
    if members is None:
        raise UnusableMetadataError("no JSON object")
    try:
        document = _Document.model_validate(members)
    except ValidationError as error:
        faults = sorted({_in_words(fault) for fault in error.errors()})
        raise UnusableMetadataError(f"not usable: {', '.join(faults)}") from error
    if document.issuer != issuer:
        # RFC 8414 §3.3: to the letter, or another server could pose as this one.
        raise UnusableMetadataError(f"it is of another issuer, {_quoted(document.issuer)}")
    if _is_https(issuer) and not all(map(_is_https, document.endpoints())):
        # Who is elsewhere knows nothing of this machine, and must not have it called.
        raise UnusableMetadataError("an endpoint on loopback, of an issuer that is not there")
    if max(map(_nearness, document.endpoints())) > _nearness(issuer):
        # Names are looked up, and held to the same, when they are connected to.
        raise UnusableMetadataError(
            "an endpoint on loopback or in a network that its issuer is not in"
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
        names_itself=document.authorization_response_iss_parameter_supported,
    )


def _in_words(fault: ErrorDetails) -> str:
    """Name a member, and say where it leads to what is not asked: behind a proxy, often http."""
    place = ".".join(map(str, fault["loc"]))
    return f"{place} is {_NOT_SAFE}" if _NOT_SAFE in fault["msg"] else place


def _quoted(issuer: str) -> str:
    """Quote what is found, and say what is known of those who publish another one than theirs."""
    if "{tenantid}" in issuer:
        return f"{issuer!a}: put the tenant's id in ISSUER in the place of common"
    return ascii(issuer[:_LONGEST_QUOTE])


def _client_authentication(offered: list[str] | None, issuer: str) -> ClientAuthentication | None:
    """Prefer the form: fewer servers are particular about how it is encoded."""
    if offered is None:
        # RFC 8414 §2 has what is meant; some mean something else.
        host = urlsplit(issuer).hostname or ""
        return _UNLISTED.get(host, ClientAuthentication.BASIC)
    wanted = (ClientAuthentication.POST, ClientAuthentication.BASIC)
    return next((method for method in wanted if method.value in offered), None)


def _pkce(offered: list[str]) -> Pkce | None:
    """Leave it to the preset where nothing is offered, as Microsoft and Salesforce do that have it.

    Others ignore what they do not know (RFC 6749 §3.1).
    """
    if not offered:
        return None
    return Pkce.S256 if "S256" in offered else Pkce.NONE
