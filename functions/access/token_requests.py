"""Token requests (RFC 6749 §3.2): the API key in a form, by the grant type.

A grant type says where the API key is. The rest of a request is the same for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from functions.access.basic import basic_credentials
from functions.http.messages import Request
from functions.http.parameters import parse_members
from functions.http.problems import ProblemError, problem

# RFC 6749 §3.2: other parameters are ignored.
_PARAMETERS = (
    *("grant_type", "client_id", "client_secret", "refresh_token", "scope"),
    *("subject_token", "subject_token_type", "requested_token_type", "actor_token"),
)
# They belong into the query. In the body they would be ignored, and the default connection meant.
_OF_THE_QUERY = ("connection", "min_ttl")
_SECRETS = ("client_secret", "refresh_token", "subject_token")
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SUBJECT_TOKEN_TYPES = (
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
)
"""The types of an identity token (RFC 8693 §3)."""
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
_LOGGED = " The URL may have been logged: replace this API key."
_HOW = (
    "Send the API key as the client secret, by `Authorization: Basic` or as the parameter "
    "client_secret of the body."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """The client's id and secret (RFC 6749 §2.3.1); `secrets` are the readings of one secret."""

    id: str | None
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request for a token.

    `keys` are the readings of its API key, or of the identity token in its place. `echoed` are
    members for the answer. `scope` is what it asks for, None for all that was granted.
    """

    grant_type: str
    client_id: str | None
    scope: str | None
    keys: tuple[bytes, ...] = field(repr=False)
    echoed: Mapping[str, str] = field(repr=False, default_factory=dict)


def read_token_request(request: Request) -> TokenRequest:
    """Read the form, and find its API key. The key is not checked here.

    Raises ProblemError, MalformedRequestError.
    """
    _refuse_in_url(request)
    form = _read_form(request)
    client = _client_of(request, form)
    if (grant_type := form.get("grant_type")) is None:
        raise _invalid(
            f"The parameter grant_type is missing. Use one of {_names_of_grant_types()}."
        )
    if (read := _GRANT_TYPES.get(grant_type)) is None:
        raise problem(
            "invalid-request",
            f"Unsupported grant_type. Use one of {_names_of_grant_types()}.",
            oauth_error="unsupported_grant_type",
        )
    return read(form, client)


def _read_client_credentials(form: Mapping[str, str], client: ClientCredentials) -> TokenRequest:
    """Read RFC 6749 §4.4: the API key is the client secret."""
    if not client.secrets:
        raise problem("api-key-missing", f"The request has no client secret. {_HOW}")
    return TokenRequest(
        grant_type="client_credentials",
        client_id=client.id,
        scope=form.get("scope"),
        keys=client.secrets,
    )


def _read_refresh_token(form: Mapping[str, str], client: ClientCredentials) -> TokenRequest:
    """Read RFC 6749 §6: the API key is the refresh token, and any client secret will do."""
    if (token := form.get("refresh_token")) is None:
        raise _invalid(
            "The parameter refresh_token is missing. Send the API key as the refresh token."
        )
    return TokenRequest(
        grant_type="refresh_token",
        client_id=client.id,
        scope=form.get("scope"),
        keys=(token.encode(),),
        # Some clients keep the refresh token of the last answer, and lose one that it leaves out.
        echoed={"refresh_token": token},
    )


def _read_token_exchange(form: Mapping[str, str], client: ClientCredentials) -> TokenRequest:
    """Read RFC 8693 §2.1: the subject token is an identity token that CALLERS accepts."""
    if (token := form.get("subject_token")) is None:
        raise _invalid("The parameter subject_token is missing. Send the identity token.")
    if form.get("subject_token_type") not in SUBJECT_TOKEN_TYPES:
        raise _invalid(f"Unsupported subject_token_type. Use {' or '.join(SUBJECT_TOKEN_TYPES)}.")
    if form.get("requested_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
        raise _invalid(
            f"Unsupported requested_token_type. Leave it out, or use {ACCESS_TOKEN_TYPE}."
        )
    if "actor_token" in form:
        # Ignored, it would seem to restrict the token.
        raise _invalid("The parameter actor_token is not supported. Leave it out.")
    return TokenRequest(
        grant_type=TOKEN_EXCHANGE,
        client_id=client.id,
        scope=form.get("scope"),
        keys=(token.encode(),),
        echoed={"issued_token_type": ACCESS_TOKEN_TYPE},
    )


# A further grant type is one more function. Its `keys` are what the gate checks.
_GRANT_TYPES: Mapping[str, Callable[[Mapping[str, str], ClientCredentials], TokenRequest]] = {
    "client_credentials": _read_client_credentials,
    "refresh_token": _read_refresh_token,
    TOKEN_EXCHANGE: _read_token_exchange,
}
GRANT_TYPES = tuple(_GRANT_TYPES)
"""The grant types of the token endpoint."""
AUTHENTICATION_METHODS = ("client_secret_basic", "client_secret_post")
"""How clients authenticate, in the words of RFC 8414 §2."""


def _names_of_grant_types() -> str:
    return ", ".join(GRANT_TYPES)


def _refuse_in_url(request: Request) -> None:
    # RFC 6749 §2.3.1: credentials must not be in the URL.
    for name in _PARAMETERS:
        if name in request.parameters:
            advice = _LOGGED if name in _SECRETS else ""
            raise _invalid(f"Send {name} in the body, not in the URL.{advice}")


def _read_form(request: Request) -> Mapping[str, str]:
    """Return the known parameters, without empty ones."""
    if not request.is_form():
        raise _invalid(
            "The content type is not application/x-www-form-urlencoded. Send the parameters as a "
            "form."
        )
    found = parse_members(request.body.strip(), (*_PARAMETERS, *_OF_THE_QUERY))
    for name in _OF_THE_QUERY:
        if name in found:
            raise _invalid(f"Send {name} in the URL, as in ?{name}=VALUE.")
    # RFC 6749 §3.2: a parameter without a value is an omitted one.
    return {name: value for name, value in found.items() if value}


def _client_of(request: Request, form: Mapping[str, str]) -> ClientCredentials:
    given = basic_credentials(request)
    if len(given) < len(request.header_values(b"authorization")):
        raise problem(
            "api-key-invalid", f"The Authorization header has an unsupported scheme. {_HOW}"
        )
    if not given:
        secret = form.get("client_secret")
        secrets = () if secret is None else (secret.encode(),)
        return ClientCredentials(id=form.get("client_id"), secrets=secrets)
    if len(given) > 1 or "client_secret" in form:
        # RFC 6749 §2.3: one method for each request.
        raise _invalid("The request authenticates in two ways at once. Use one of them.")
    [basic] = given
    client_id = _decode_form(basic.user).decode(errors="replace")
    if form.get("client_id", client_id) != client_id:
        raise _invalid("The request has two different client ids. Send one.")
    return ClientCredentials(id=client_id or None, secrets=_readings(basic.password))


def _readings(password: bytes) -> tuple[bytes, ...]:
    """Return the secret as RFC 6749 §2.3.1 encodes it, and as many clients send it: as it is."""
    return tuple(dict.fromkeys((_decode_form(password), password))) if password else ()


def _decode_form(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _invalid(detail: str) -> ProblemError:
    return problem("invalid-request", detail)
