"""A simulated Digi-Key's endpoints: translates HTTP requests for the rules, and their results.

The handlers are plain functions of a request. A delay or a lost response is a return value.
"""

from dataclasses import asdict, dataclass
from typing import TypeAlias, assert_never
from urllib.parse import urlencode

from functions.http.messages import Request, Response
from functions.http.parameters import MalformedRequestError, parse_parameters
from infra.local.digikey_control import Delay, Fault, Settings
from infra.local.digikey_errors import gateway_error, problem, refusal_response, request_error
from infra.local.digikey_pages import authorization_page, error_page, page_response
from infra.local.digikey_rules import AuthorizationServer, Refusal, Tokens

# One second is visible, and short for a test.
RETRY_AFTER = ("retry-after", "1")


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
    """The authorization endpoint, the token endpoint, and one protected resource."""

    def __init__(self, *, rules: AuthorizationServer, settings: Settings) -> None:
        self._rules = rules
        self._settings = settings

    def show_page(self, request: Request) -> Response:
        """Return the page of the authorization endpoint, or its refusal (GET)."""
        asked = self._rules.read_authorization_request(request.parameters)
        if isinstance(asked, Refusal):
            return refusal_response(asked)
        return page_response(
            200,
            authorization_page(
                action=request.path,
                client_id=self._rules.client.client_id,
                redirect_uri=asked.redirect_uri,
                state=asked.state,
            ),
        )

    def apply_decision(self, request: Request) -> Response:
        """Redirect to the client, with a code or an error (POST of that page)."""
        form = read_form(request)
        asked = self._rules.read_authorization_request(form)
        if isinstance(asked, Refusal):
            return refusal_response(asked)
        state = {} if asked.state is None else {"state": asked.state}
        match form.get("decision"):
            case "allow":
                # Digi-Key sends the empty scope, too.
                callback = {"code": self._rules.give_code(asked), **state, "scope": ""}
            case "deny":
                # RFC 6749 §4.1.2.1
                callback = {"error": "access_denied", **state}
            case _:
                return request_error("decision is neither allow nor deny")
        separator = "&" if "?" in asked.redirect_uri else "?"
        location = f"{asked.redirect_uri}{separator}{urlencode(callback)}"
        return Response(status=302, content_type="text/plain", headers=(("location", location),))

    def token(self, request: Request) -> Answer:
        """Answer a token request, with the next planned fault (POST)."""
        match fault := self._settings.next_fault():
            case None:
                return self._grant_token_request(request)
            case Delay():
                return DelayedResponse(
                    response=self._grant_token_request(request), seconds=fault.seconds
                )
            case Fault.UNAVAILABLE:
                return problem(503, "Service Unavailable", "As planned.", headers=(RETRY_AFTER,))
            case Fault.RATE_LIMITED:
                return problem(429, "Too Many Requests", "As planned.", headers=(RETRY_AFTER,))
            case Fault.LOSE_REQUEST:
                return LostResponse()
            case Fault.LOSE_ANSWER:
                self._grant_token_request(request)
                return LostResponse()
            case Fault.HTML:
                self._grant_token_request(request)
                return page_response(200, error_page("We will be back soon", "As planned."))
            case Fault.EMPTY_400:
                return Response(status=400, content_type="text/plain")
            case _:
                assert_never(fault)

    def _grant_token_request(self, request: Request) -> Response:
        form = read_form(request)
        given = self._rules.answer_token_request(form)
        match given:
            case Tokens():
                self._settings.count(form["grant_type"])
                return Response.json(200, {**asdict(given), "token_type": "Bearer"})
            case Refusal():
                self._settings.count("refused")
                return refusal_response(given)
            case _:
                assert_never(given)

    def example_product(self, request: Request) -> Response:
        """Return a protected resource, or the refusal of an access token (GET)."""
        if request.header_values(b"x-digikey-client-id") != [self._rules.client.client_id.encode()]:
            return gateway_error(
                "Invalid Client-Id", "X-DIGIKEY-Client-Id invalid for requested resource"
            )
        if not any(map(self._rules.is_access_token_valid, _bearer_tokens(request))):
            return problem(
                401,
                "Unauthorized",
                "Bearer token is expired. Please use your refresh token to obtain a new Bearer "
                "token, or acquire a new set of tokens from the OAuth endpoint.",
                headers=(("www-authenticate", 'Bearer error="invalid_token"'),),
            )
        product = {"Description": "RES 10K OHM 1% 1/4W AXIAL", "UnitPrice": 0.1}
        return Response.json(200, {"Products": [product], "ProductsCount": 1})


def read_form(request: Request) -> dict[str, str]:
    """Return the form in the body, without fields that have no value.

    Raises MalformedRequestError.
    """
    content_types = request.header_values(b"content-type")
    if [kind.split(b";")[0].strip().lower() for kind in content_types] != [
        b"application/x-www-form-urlencoded"
    ]:
        raise MalformedRequestError("the body must be application/x-www-form-urlencoded")
    # RFC 6749 §3.2: a parameter without a value counts as omitted.
    return {name: value for name, value in parse_parameters(request.body).items() if value}


def _bearer_tokens(request: Request) -> list[str]:
    """Return the token of the only Authorization header, if any (RFC 6750 §2.1)."""
    values = request.header_values(b"authorization")
    scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    return [token.strip().decode("latin-1")] if scheme.lower() == b"bearer" else []
