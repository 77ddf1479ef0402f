"""The requests to a simulated provider, in the terms of RFC 6749.

A preset's `WireFormat` has the differences. A request that differs otherwise is refused, as the
provider would refuse it.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from domain.provider import ClientAuthentication, Provider
from domain.wire_format import BodyFormat, WireFormat
from functions.http.messages import Request
from functions.http.parameters import MalformedRequestError, parse_parameters
from infra.local.simulated.refusals import Refusal, missing

_FORM, _JSON = b"application/x-www-form-urlencoded", b"application/json"
_STANDARD = WireFormat()


def wire_of(provider: Provider) -> WireFormat:
    """Return the wire format of a provider, RFC 6749's if the preset has none."""
    return provider.wire or _STANDARD


def read_authorization_parameters(
    provider: Provider, parameters: Mapping[str, str], *, client_id: str
) -> dict[str, str]:
    """Return an authorization request's parameters by their names in RFC 6749.

    A parameter that the provider does not have counts as correct.
    """
    names = wire_of(provider).authorization_names
    found = _to_rfc(parameters, names)
    expected = {"response_type": "code", "client_id": client_id}
    return {name: value for name, value in expected.items() if names.get(name) == ""} | found


def read_token_request(
    provider: Provider, request: Request, *, client_id: str, is_refresh: bool
) -> dict[str, str] | Refusal:
    """Return a token request's parameters by their names in RFC 6749, with the credentials.

    `is_refresh`: whether the path is for refreshes only.
    Raises MalformedRequestError for another format of the body.
    """
    wire = wire_of(provider)
    is_json = wire.token_request is BodyFormat.JSON
    pairs = _read_json(request) if is_json else _read_form_pairs(request)
    names = wire.token_request_names
    form = _to_rfc(_unrepeated(pairs, provider), names)
    if "grant_type" not in form and (names.get("grant_type") == "" or is_refresh):
        kind = "refresh_token" if is_refresh or "refresh_token" in form else "authorization_code"
        form["grant_type"] = kind
    if is_refresh and form.get("grant_type") != "refresh_token":
        return Refusal(
            reason="unsupported_grant_type", description="this endpoint is for refreshes only"
        )
    refusal = _refuse_incomplete(provider, request, pairs, form)
    return refusal or form | _credentials(provider, request, form, client_id=client_id)


def read_credentials(
    provider: Provider, request: Request, form: Mapping[str, str], *, client_id: str
) -> dict[str, str]:
    """Return the client's credentials in a request, by the provider's method."""
    names = wire_of(provider).token_request_names
    return _credentials(provider, request, _to_rfc(form, names), client_id=client_id)


def read_form(request: Request) -> dict[str, str]:
    """Return the form in the body, without fields that have no value.

    Raises MalformedRequestError.
    """
    _require_content_type(request, _FORM)
    # RFC 6749 §3.2: a parameter without a value counts as omitted.
    return {name: value for name, value in parse_parameters(request.body).items() if value}


def read_any_body(request: Request) -> dict[str, str]:
    """Return the texts of a JSON object or a form; {} for another body."""
    try:
        return dict(_read_json(request)) if request.body[:1] == b"{" else dict(request.form())
    except MalformedRequestError:
        return {}


def bearer_tokens(request: Request) -> list[str]:
    """Return the token of the only Authorization header, if any (RFC 6750 §2.1)."""
    values = request.header_values(b"authorization")
    scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    return [token.strip().decode("latin-1")] if scheme.lower() == b"bearer" else []


def _to_rfc(parameters: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Rename parameters. One with an RFC name that this provider has renamed is unknown to it."""
    ours = {own: name for name, own in names.items() if own}
    return {
        ours.get(own, own): value
        for own, value in parameters.items()
        if own in ours or own not in names
    }


def _unrepeated(pairs: list[tuple[str, str]], provider: Provider) -> dict[str, str]:
    """Return the parameters by name. Only `resource` and the like may repeat (RFC 8707 §2)."""
    found = dict(pairs)
    may_repeat = {name for name, _ in provider.token_params}
    if len([name for name, _ in pairs if name not in may_repeat]) > len(found.keys() - may_repeat):
        raise MalformedRequestError("A parameter appears more than once. Send it once.")
    return found


def _refuse_incomplete(
    provider: Provider, request: Request, pairs: list[tuple[str, str]], form: Mapping[str, str]
) -> Refusal | None:
    """Refuse a request without the fixed parameters and headers of the provider."""
    wire = wire_of(provider)
    fixed = {
        "authorization_code": wire.code_params,
        "refresh_token": wire.refresh_params,
    }.get(form.get("grant_type", ""), ())
    for parameter in (*provider.token_params, *fixed):
        if parameter not in pairs:
            return missing("=".join(parameter))
    for name, _ in wire.headers:
        if not any(request.header_values(name.lower().encode())):
            return missing(f"header {name}")
    return None


def _credentials(
    provider: Provider, request: Request, form: Mapping[str, str], *, client_id: str
) -> dict[str, str]:
    """Return the credentials of the provider's method alone; others do not count."""
    in_form = {name: form.get(name, "") for name in ("client_id", "client_secret")}
    match provider.client_authentication:
        case ClientAuthentication.BASIC:
            user, password = _basic(request)
            return {"client_id": user, "client_secret": password}
        case ClientAuthentication.SECRET_AS_USER:
            user, _ = _basic(request)
            return {"client_id": client_id, "client_secret": user}
        case ClientAuthentication.POST | ClientAuthentication.NONE:
            return in_form
        case ClientAuthentication.PRIVATE_KEY_JWT:
            # RFC 7521 §4.2: the assertion names the client, too.
            names = {"client_id", "client_assertion_type", "client_assertion"}
            return {"client_id": client_id} | {name: form[name] for name in names & form.keys()}


def _basic(request: Request) -> tuple[str, str]:
    """Return user and password of HTTP Basic (RFC 7617), decoded as in RFC 6749 §2.3.1."""
    values = request.header_values(b"authorization")
    scheme, _, encoded = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(user), unquote_plus(password)


def _read_form_pairs(request: Request) -> list[tuple[str, str]]:
    _require_content_type(request, _FORM)
    try:
        pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise MalformedRequestError("the body cannot be decoded") from error
    # RFC 6749 §3.2: a parameter without a value counts as omitted.
    return [(name, value) for name, value in pairs if value]


def _read_json(request: Request) -> list[tuple[str, str]]:
    _require_content_type(request, _JSON)
    try:
        members = json.loads(request.body)
        # JSON can contain a lone surrogate (RFC 8259 §8.2), which no response can repeat.
        json.dumps(members, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError("the body is not JSON") from error
    if not isinstance(members, dict):
        raise MalformedRequestError("the body is not a JSON object")
    pairs = [
        (name, each)
        for name, value in members.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return [(name, value) for name, value in pairs if isinstance(value, str) and value]


def _require_content_type(request: Request, expected: bytes) -> None:
    content_types = request.header_values(b"content-type")
    if [kind.split(b";")[0].strip().lower() for kind in content_types] != [expected]:
        raise MalformedRequestError(f"the body must be {expected.decode()}")
