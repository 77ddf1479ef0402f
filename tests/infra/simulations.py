"""A client of simulated providers, in process: it sends what a preset's wire format says."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit
from uuid import uuid4

import httpx

from adapters.client_assertion import ASSERTION_TYPE
from adapters.token_response import read_answer
from domain.provider import ClientAuthentication, Provider
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from domain.wire_format import BodyFormat, WireFormat
from infra.local.simulated.application import SimulatedProvider
from infra.local.simulated.assertions import ClientKey
from infra.local.simulated.codes import Client
from infra.local.simulated.paths import Paths, prefix_of
from tests.client_keys import assertion_of, pem_of
from tests.system.simulated_digikey import Form

CALLBACK = "https://keeper.example/api/callback"
# With characters that HTTP Basic has to encode.
CLIENT_ID, CLIENT_SECRET = "a-client", "a secret:%+"
# Kinds of the client's private key, and of another one.
KEY, ANOTHER_KEY = "p256", "other-p256"
VERIFIER, CHALLENGE = (
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
)


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    seconds: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(kw_only=True)
class Simulation:
    """A simulated provider, and its client."""

    provider: Provider
    clock: Clock = field(default_factory=Clock)
    redirect_names: Mapping[str, str] = field(default_factory=dict)
    state_path: Path | None = None

    def __post_init__(self) -> None:
        self.app = SimulatedProvider(
            provider=self.provider,
            client=Client(
                client_id=CLIENT_ID,
                client_secret=CLIENT_SECRET,
                redirect_uris=(CALLBACK,),
                redirect_names=self.redirect_names,
                key=ClientKey.of(
                    pem_of(KEY), algorithm=None, audience=self.provider.token_endpoint
                ),
            ),
            state_path=self.state_path,
            now=self.clock,
        )
        self.paths = Paths.of(self.provider)
        self.wire = self.provider.wire or WireFormat()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request to a path below the prefix."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return await client.request(method, prefix_of(self.provider.name) + path, **more)

        return asyncio.run(send())

    def control(self, **change: object) -> dict[str, Any]:
        """Change the settings, and return them."""
        return dict(self.ask("POST", "/_control", json=change).raise_for_status().json())

    def authorize(self, **change: str) -> dict[str, str]:
        """Log in as a person does. Return the parameters of the redirect back."""
        asked = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "state": "a-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **change,
        }
        page = self.ask(
            "GET", self.paths.authorization, params=_renamed(asked, self.wire.authorization_names)
        )
        assert page.status_code == 200, page.text
        form = Form.read(page.text)
        path = form.action.removeprefix(prefix_of(self.provider.name))
        answer = self.ask("POST", path, data={**form.fields, "decision": "allow"})
        assert answer.headers["location"].startswith(f"{CALLBACK}?"), answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True))

    def exchange(self, code: str, **change: str) -> httpx.Response:
        """Send a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.request_tokens({**form, "code_verifier": VERIFIER, **change})

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Send a refresh token."""
        return self.request_tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def request_tokens(
        self, form: Mapping[str, str], *, secret: str = CLIENT_SECRET
    ) -> httpx.Response:
        """Send a token request in the provider's format."""
        is_refresh = form["grant_type"] == "refresh_token"
        own = self.wire.refresh_params if is_refresh else self.wire.code_params
        members, headers = self._credentials(secret)
        named = _renamed({**form, **members}, self.wire.token_request_names)
        pairs = [*named.items(), *self.provider.token_params, *own]
        headers |= dict(self.wire.headers)
        is_json = self.wire.token_request is BodyFormat.JSON
        kind = "application/json" if is_json else "application/x-www-form-urlencoded"
        return self.ask(
            "POST",
            self.paths.refresh if is_refresh else self.paths.token,
            content=json.dumps(dict(pairs)) if is_json else urlencode(pairs),
            headers={"content-type": kind, **headers},
        )

    def assertion(self, *, kind: str = KEY, **change: object) -> str:
        """Return an assertion of the client with other claims; None leaves one out."""
        claims = {
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            "aud": self.provider.token_endpoint,
            "jti": uuid4().hex,
            "exp": self.clock.seconds + 60,
            **change,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return assertion_of(kind, present)

    def log_in(self, **change: str) -> TokenResponse:
        """Log in, and return the tokens as the product reads them."""
        code = self.authorize(**change)[self.wire.callback_code]
        return self.tokens(self.exchange(code))

    def tokens(self, response: httpx.Response) -> TokenResponse:
        """Return the tokens of a response as the product reads them."""
        found = self.read(response)
        assert isinstance(found, TokenResponse), (response.text, found)
        return found

    def refusal(self, response: httpx.Response) -> TokenErrorResponse:
        """Return the error of a response as the product reads it."""
        found = self.read(response)
        assert isinstance(found, TokenErrorResponse), (response.text, found)
        return found

    def _credentials(self, secret: str) -> tuple[dict[str, str], dict[str, str]]:
        match self.provider.client_authentication:
            case ClientAuthentication.POST:
                return {"client_id": CLIENT_ID, "client_secret": secret}, {}
            case ClientAuthentication.BASIC:
                return {}, {"authorization": _basic(CLIENT_ID, secret)}
            case ClientAuthentication.SECRET_AS_USER:
                return {}, {"authorization": _basic(secret, "")}
            case ClientAuthentication.PRIVATE_KEY_JWT:
                kind = KEY if secret == CLIENT_SECRET else ANOTHER_KEY
                return by_assertion(self.assertion(kind=kind)), {}
            case ClientAuthentication.NONE:
                return {"client_id": CLIENT_ID}, {}

    def read(self, response: httpx.Response) -> object:
        """Return what the product reads."""
        at = httpx.Headers({"date": "Tue, 14 Nov 2023 22:13:20 GMT", **response.headers})
        answer = httpx.Response(response.status_code, headers=at, content=response.content)
        return read_answer(answer, response.content, self.provider)

    def accepts(self, access_token: str) -> bool:
        """Whether the provider's API accepts an access token."""
        answer = self.ask("GET", "/_resource", headers={"authorization": f"Bearer {access_token}"})
        assert answer.status_code in {200, 401}
        return answer.is_success


def _renamed(members: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    found = ((names.get(name, name), value) for name, value in members.items())
    return {name: value for name, value in found if name}


def by_assertion(assertion: str) -> dict[str, str]:
    """Return the members of a request with an assertion (RFC 7521 §4.2)."""
    return {
        "client_id": CLIENT_ID,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }


def _basic(user: str, password: str) -> str:
    pair = f"{quote_plus(user)}:{quote_plus(password)}"
    return f"Basic {b64encode(pair.encode()).decode()}"
