"""The HTTP messages for a provider's endpoints: token requests and revocations.

RFC 6749 §4.1.3, §6 and RFC 7009 §2.1, with the differences in the provider's `WireFormat`.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never
from urllib.parse import quote_plus, urlencode

from adapters.client_assertion import ASSERTION_TYPE
from domain.provider import ClientAuthentication, Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    ClientCredentialsRequest,
    RefreshTokenRequest,
    RevocationRequest,
    TokenRequest,
)
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat

Members: TypeAlias = Mapping[str, str | list[str]]
"""The members of a body. A list is a parameter that repeats."""

_STANDARD = WireFormat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One HTTP request. Its body and headers may hold secrets, its URL never."""

    method: str = "POST"
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False, default=b"")


class ClientMessages:
    """The messages of one client, with its credentials, to its provider."""

    def __init__(self, provider: Provider, *, client_id: str, client_secret: str) -> None:
        """`client_secret`: empty for a public client."""
        self._provider = provider
        self._wire = provider.wire or _STANDARD
        self._client_id = client_id
        self._client_secret = client_secret

    def token_message(self, request: TokenRequest, assertion: str | None = None) -> Message:
        """Write a token request. `assertion`: of a client that has a private key."""
        members, headers = self._authenticated(_members_of(request), assertion)
        members = _renamed(members, self._wire.token_request_names)
        match request:
            case AuthorizationCodeRequest():
                url, own = self._provider.token_endpoint, self._wire.code_params
            case ClientCredentialsRequest():
                url, own = self._provider.token_endpoint, ()
            case RefreshTokenRequest():
                url = self._wire.refresh_endpoint or self._provider.token_endpoint
                own = self._wire.refresh_params
            case _:
                assert_never(request)
        return self._message(
            url,
            _with_params(members, (*self._provider.token_params, *own)),
            headers=headers,
            form=self._wire.token_request,
        )

    def revocation_message(
        self, url: str, request: RevocationRequest, assertion: str | None = None
    ) -> Message | None:
        """Write a revocation. Return None if it requires an access token and there is none."""
        match style := self._wire.revocation:
            case RevocationStyle.STANDARD | RevocationStyle.JSON:
                return self._standard_revocation(url, request, style, assertion)
            case _:
                access_token = request.access_token
                return None if access_token is None else self._by_access_token(url, access_token)

    def _standard_revocation(
        self, url: str, request: RevocationRequest, style: RevocationStyle, assertion: str | None
    ) -> Message:
        hint = request.token_type_hint.value
        members, headers = self._authenticated(
            {"token": request.token, "token_type_hint": hint}, assertion
        )
        return self._message(
            url,
            _renamed(members, self._wire.token_request_names),
            headers=headers,
            form=BodyFormat.JSON if style is RevocationStyle.JSON else BodyFormat.FORM,
        )

    def _by_access_token(self, url: str, access_token: str) -> Message:
        bearer = {"authorization": f"Bearer {access_token}"}
        match self._wire.revocation:
            case RevocationStyle.BEARER:
                return self._message(url, {}, headers=bearer)
            case RevocationStyle.DELETE_BEARER:
                return self._message(url, {}, headers=bearer, method="DELETE")
            case RevocationStyle.DELETE_JSON:
                return self._message(
                    url,
                    {"access_token": access_token},
                    headers={"authorization": _basic(self._client_id, self._client_secret)},
                    form=BodyFormat.JSON,
                    method="DELETE",
                )
            case _:
                # Square's.
                return self._message(
                    url,
                    {"client_id": self._client_id, "access_token": access_token},
                    headers={"authorization": f"Client {self._client_secret}"},
                    form=BodyFormat.JSON,
                )

    def _message(
        self,
        url: str,
        members: Members,
        *,
        headers: Mapping[str, str],
        form: BodyFormat = BodyFormat.FORM,
        method: str = "POST",
    ) -> Message:
        content_type, body = _body(members, form)
        return Message(
            method=method,
            url=url,
            headers={
                "accept": "application/json",
                **{name.lower(): value for name, value in self._wire.headers},
                "accept-encoding": "identity",
                **({"content-type": content_type} if body else {}),
                **headers,
            },
            body=body,
        )

    def _authenticated(
        self, members: dict[str, str], assertion: str | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Add the client's authentication (RFC 6749 §2.3.1) to the members or to the headers."""
        match self._provider.client_authentication:
            case ClientAuthentication.POST:
                secret = {"client_id": self._client_id, "client_secret": self._client_secret}
                return {**members, **secret}, {}
            case ClientAuthentication.BASIC:
                return members, {"authorization": _basic(self._client_id, self._client_secret)}
            case ClientAuthentication.SECRET_AS_USER:
                return members, {"authorization": _basic(self._client_secret, "")}
            case ClientAuthentication.PRIVATE_KEY_JWT:
                # RFC 7521 §4.2. Entra requires the `client_id`, which the RFC leaves optional.
                signed = {
                    "client_id": self._client_id,
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": assertion or "",
                }
                return {**members, **signed}, {}
            case ClientAuthentication.NONE:
                # RFC 6749 §3.2.1.
                return {**members, "client_id": self._client_id}, {}
            case _:
                assert_never(self._provider.client_authentication)


def _members_of(request: TokenRequest) -> dict[str, str]:
    match request:
        case AuthorizationCodeRequest():
            members = {
                "grant_type": "authorization_code",
                "code": request.code,
                "redirect_uri": request.redirect_uri,
            }
            if request.code_verifier is not None:
                members["code_verifier"] = request.code_verifier
            return members
        case RefreshTokenRequest():
            return {"grant_type": "refresh_token", "refresh_token": request.refresh_token}
        case ClientCredentialsRequest(scope=scope):
            # RFC 6749 §4.4.2.
            members = {"grant_type": "client_credentials"}
            return members if scope is None else {**members, "scope": scope}
        case _:
            assert_never(request)


def _renamed(members: dict[str, str], names: Mapping[str, str]) -> dict[str, str]:
    found = ((names.get(name, name), value) for name, value in members.items())
    return {name: value for name, value in found if name}


def _with_params(members: dict[str, str], params: Iterable[tuple[str, str]]) -> Members:
    result: dict[str, str | list[str]] = {**members}
    for name, value in params:
        before = result.get(name, [])
        both = [*([before] if isinstance(before, str) else before), value]
        # RFC 8707 §2: `resource` may repeat.
        result[name] = both if len(both) > 1 else value
    return result


def _body(members: Members, form: BodyFormat) -> tuple[str, bytes]:
    match form:
        case BodyFormat.FORM:
            return "application/x-www-form-urlencoded", urlencode(members, doseq=True).encode()
        case BodyFormat.JSON:
            return "application/json", json.dumps(members).encode()
        case _:
            assert_never(form)


def _basic(user: str, password: str) -> str:
    # RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
    return f"Basic {b64encode(f'{quote_plus(user)}:{quote_plus(password)}'.encode()).decode()}"
