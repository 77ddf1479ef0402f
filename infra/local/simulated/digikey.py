"""Digi-Key's own part of the simulation: its product search, versions 4 and 3, and its errors.

Paths, members and headers as on developer.digikey.com, "Product Information V4" and "Shared
Concepts".
"""

import json
from dataclasses import replace

from domain.provider import Provider
from functions.http.messages import Request, Response
from functions.http.parameters import MalformedRequestError
from infra.local.simulated import digikey_errors, digikey_v3
from infra.local.simulated.digikey_errors import gateway_error
from infra.local.simulated.digikey_parts import PARTS, find_part, matching_parts
from infra.local.simulated.digikey_quota import Quotas
from infra.local.simulated.errors import problem
from infra.local.simulated.lifetimes import Lifetimes
from infra.local.simulated.refusals import Refusal
from infra.local.simulated.rules import AuthorizationServer
from infra.local.simulated.vendor import Handler, Routes, Vendor

# In seconds: developer.digikey.com, "OAuth 2.0 2-Legged Flow".
CLIENT_TOKEN_LIFETIME = 600.0
MAX_PRODUCTS = 50
"""The most products of one keyword search."""

_SEARCH = "/products/v4/search/"
_DETAILS = "/productdetails"
_LOCALE = {"Site": "US", "Language": "en", "Currency": "USD"}


class DigiKey(Vendor):
    """Digi-Key, or its sandbox."""

    # Digi-Key sends the empty scope, too.
    redirect_parameters = (("scope", ""),)
    resource = f"{_SEARCH}example"

    def __init__(self, rules: AuthorizationServer) -> None:
        super().__init__(rules)
        self._quotas = Quotas(rules.now)

    @classmethod
    def lifetimes_of(cls, provider: Provider) -> Lifetimes:
        """Return the lifetimes of codes and tokens at first."""
        return replace(Lifetimes.of(provider), client_credentials=CLIENT_TOKEN_LIFETIME)

    @classmethod
    def title_of(cls, provider: Provider) -> str:
        """Return the provider's name for people."""
        return "Digi-Key sandbox" if provider.name == "digikey-sandbox" else "Digi-Key"

    def refuse(self, refusal: Refusal, *, status: int | None = None) -> Response:
        """Return the response to a refused request, in one of Digi-Key's forms."""
        return digikey_errors.refusal_response(self.rules.provider, refusal, status=status)

    def routes_at(self, path: str) -> Routes | None:
        """Return the handlers at a path, by method."""
        if path == self.resource:
            return {"GET": self._protected(_example)}
        if path == f"{_SEARCH}keyword":
            return {"POST": self._protected(self._limited(_search))}
        number = path.removeprefix(_SEARCH).removesuffix(_DETAILS)
        if number and path == f"{_SEARCH}{number}{_DETAILS}":
            return {"GET": self._protected(self._limited(lambda _: _details(number)))}
        if (older := digikey_v3.routes_at(path)) is not None:
            return {
                method: self._protected(self._limited(handler)) for method, handler in older.items()
            }
        return super().routes_at(path)

    def _protected(self, handler: Handler) -> Handler:
        """Require the client's id and a current access token."""

        def checked(request: Request) -> Response:
            client_id = self.rules.client.client_id.encode()
            if request.header_values(b"x-digikey-client-id") != [client_id]:
                return gateway_error(
                    "Invalid Client-Id", "X-DIGIKEY-Client-Id invalid for requested resource"
                )
            refusal = self.refuse_token(
                request,
                "Bearer token is expired. Please use your refresh token to obtain a new Bearer "
                "token, or acquire a new set of tokens from the OAuth endpoint.",
            )
            return refusal or handler(request)

        return checked

    def _limited(self, handler: Handler) -> Handler:
        """Count the request against the quotas, and report them in headers."""

        def counted(request: Request) -> Response:
            retry_after = self._quotas.take()
            if retry_after is None:
                response = handler(request)
                return replace(response, headers=(*response.headers, *self._quotas.headers()))
            return problem(
                429,
                "Too Many Requests",
                "Rate limit exceeded. Try again later.",
                headers=(("retry-after", str(retry_after)), *self._quotas.headers()),
            )

        return counted


def _example(_request: Request) -> Response:
    product = {"Description": "RES 10K OHM 1% 1/4W AXIAL", "UnitPrice": 0.1}
    return Response.json(200, {"Products": [product], "ProductsCount": 1})


def _search(request: Request) -> Response:
    keywords, limit, offset = _read_search(request.body)
    if not keywords:
        return problem(400, "Bad Request", "The Keywords field is required.")
    found = matching_parts(keywords)
    exact = find_part(keywords)
    return Response.json(
        200,
        {
            "Products": [part.product() for part in found[offset : offset + limit]],
            "ProductsCount": len(found),
            "ExactMatches": [] if exact is None else [exact.product()],
            "FilterOptions": {
                "Manufacturers": [
                    {"Id": part.manufacturer_id, "Value": part.manufacturer, "ProductCount": 1}
                    for part in found
                ]
            },
            "SearchLocaleUsed": _LOCALE,
            "AppliedParametricFiltersDto": [],
        },
    )


def _read_search(body: bytes) -> tuple[str, int, int]:
    """Read the keywords, the limit and the offset. Raises MalformedRequestError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError("the body is not JSON") from error
    if not isinstance(asked, dict):
        raise MalformedRequestError("the body is not a JSON object")
    keywords, limit, offset = asked.get("Keywords"), asked.get("Limit", 10), asked.get("Offset", 0)
    # A Boolean is an int, too.
    if type(limit) is not int or not 1 <= limit <= MAX_PRODUCTS:
        raise MalformedRequestError(f"Limit must be between 1 and {MAX_PRODUCTS}")
    if type(offset) is not int or offset < 0:
        raise MalformedRequestError("Offset must be 0 or more")
    return keywords.strip() if isinstance(keywords, str) else "", limit, offset


def _details(number: str) -> Response:
    part = find_part(number)
    if part is None:
        known = ", ".join(part.digikey_number for part in PARTS)
        return problem(404, "Not Found", f"No product {number}. The simulation has {known}.")
    return Response.json(200, {"SearchLocaleUsed": _LOCALE, "Product": part.product()})
