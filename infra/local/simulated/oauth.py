"""A simulated provider's endpoints: translates HTTP requests for the rules, and their results.

The handlers are plain functions of a request. A delay or a lost response is a return value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never
from urllib.parse import urlencode

from domain.wire_format import RevocationStyle
from functions.http.messages import Request, Response
from infra.local.simulated.control import Delay, Fault, Settings
from infra.local.simulated.errors import problem
from infra.local.simulated.pages import authorization_page, error_page, page_response
from infra.local.simulated.refusals import Refusal
from infra.local.simulated.requests import (
    bearer_tokens,
    read_any_body,
    read_authorization_parameters,
    read_credentials,
    read_form,
    read_token_request,
    wire_of,
)
from infra.local.simulated.responses import example_of, token_members
from infra.local.simulated.rules import AuthorizationServer
from infra.local.simulated.vendor import Vendor

# One second is visible, and short for a test.
RETRY_AFTER = ("retry-after", "1")
DECISION = "decision"
"""The field of the authorization page's buttons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedResponse:
    """A response with a delay in seconds."""

    response: Response
    seconds: float


@dataclass(frozen=True, slots=True)
class LostResponse:
    """A lost response: the connection closes before it is complete."""


Answer: TypeAlias = Response | DelayedResponse | LostResponse


class OAuthEndpoints:
    """The endpoints of OAuth: authorization, token, refresh and revocation."""

    def __init__(self, *, rules: AuthorizationServer, settings: Settings, vendor: Vendor) -> None:
        self._rules = rules
        self._settings = settings
        self._vendor = vendor

    def show_page(self, request: Request) -> Response:
        """Return the page of the authorization endpoint, or its refusal (GET)."""
        asked = self._rules.read_authorization_request(self._to_rfc(request.parameters))
        if isinstance(asked, Refusal):
            return self._vendor.refuse(asked)
        return page_response(
            200,
            authorization_page(
                title=self._vendor.title_of(self._rules.provider),
                action=request.path,
                client_id=self._rules.client.client_id,
                redirect_uri=self._redirect_target(asked.redirect_uri),
                fields=request.parameters,
            ),
        )

    def apply_decision(self, request: Request) -> Response:
        """Redirect to the client, with a code or an error (POST of that page)."""
        form = read_form(request)
        asked = self._rules.read_authorization_request(self._to_rfc(form))
        if isinstance(asked, Refusal):
            return self._vendor.refuse(asked)
        state = {} if asked.state is None else {"state": asked.state}
        match form.get(DECISION):
            case "allow":
                code = {wire_of(self._rules.provider).callback_code: self._rules.give_code(asked)}
                callback = code | state | self._beside_code()
            case "deny":
                # RFC 6749 §4.1.2.1
                callback = {"error": "access_denied", **state}
            case _:
                return self._vendor.refuse(
                    Refusal(
                        reason="invalid_request",
                        description="decision is neither allow nor deny",
                    )
                )
        target = self._redirect_target(asked.redirect_uri)
        location = f"{target}{'&' if '?' in target else '?'}{urlencode(callback)}"
        return Response(status=302, content_type="text/plain", headers=(("location", location),))

    def _to_rfc(self, parameters: Mapping[str, str]) -> dict[str, str]:
        return read_authorization_parameters(
            self._rules.provider, parameters, client_id=self._rules.client.client_id
        )

    def _redirect_target(self, redirect_uri: str) -> str:
        return self._rules.client.redirect_names.get(redirect_uri, redirect_uri)

    def _beside_code(self) -> dict[str, str]:
        """Return what the redirect has next to code and state."""
        provider = self._rules.provider
        # RFC 9207 §2.
        is_sent = provider.sends_issuer and provider.issuer is not None
        return {
            **dict(self._vendor.redirect_parameters),
            **{name: example_of(name) for name in provider.callback_members},
            **({"iss": str(provider.issuer)} if is_sent else {}),
        }

    def refresh(self, request: Request) -> Answer:
        """Answer a refresh at an endpoint of its own, with the next planned fault (POST)."""
        return self.token(request, is_refresh=True)

    def token(self, request: Request, *, is_refresh: bool = False) -> Answer:
        """Answer a token request, with the next planned fault (POST)."""
        match fault := self._settings.next_fault():
            case None:
                return self._grant(request, is_refresh=is_refresh)
            case Delay():
                return DelayedResponse(
                    response=self._grant(request, is_refresh=is_refresh), seconds=fault.seconds
                )
            case Fault.UNAVAILABLE:
                return problem(503, "Service Unavailable", "As planned.", headers=(RETRY_AFTER,))
            case Fault.RATE_LIMITED:
                return problem(429, "Too Many Requests", "As planned.", headers=(RETRY_AFTER,))
            case Fault.LOSE_REQUEST:
                return LostResponse()
            case Fault.LOSE_ANSWER:
                self._grant(request, is_refresh=is_refresh)
                return LostResponse()
            case Fault.HTML:
                self._grant(request, is_refresh=is_refresh)
                return page_response(200, error_page("We will be back soon", "As planned."))
            case Fault.EMPTY_400:
                return Response(status=400, content_type="text/plain")
            case _:
                assert_never(fault)

    def revoke(self, request: Request) -> Response:
        """Revoke what a request names, in the form of any provider (RFC 7009 §2; POST, DELETE)."""
        provider, body = self._rules.provider, read_any_body(request)
        if wire_of(provider).revocation is RevocationStyle.STANDARD:
            client_id = self._rules.client.client_id
            sent = read_credentials(provider, request, body, client_id=client_id)
            if not self._rules.is_authenticated(sent):
                return self._vendor.refuse(
                    Refusal(reason="invalid_client", description="unknown client")
                )
        self._rules.revoke_tokens([*body.values(), *bearer_tokens(request)])
        return Response.json(200, {})

    def _grant(self, request: Request, *, is_refresh: bool) -> Response:
        form = read_token_request(
            self._rules.provider,
            request,
            client_id=self._rules.client.client_id,
            is_refresh=is_refresh,
        )
        if isinstance(form, Refusal):
            return self._refuse_token_request(form)
        given = self._rules.answer_token_request(form)
        if isinstance(given, Refusal):
            return self._refuse_token_request(given)
        self._settings.count(form["grant_type"])
        members = token_members(self._rules.provider, given, now=self._rules.now())
        return Response.json(200, members)

    def _refuse_token_request(self, refusal: Refusal) -> Response:
        self._settings.count("refused")
        return self._vendor.refuse(refusal)
