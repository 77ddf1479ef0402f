"""The part of a simulated provider that its preset does not describe: its API and its errors."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from domain.provider import Provider
from functions.http.messages import Request, Response
from infra.local.simulated.errors import problem, refusal_response
from infra.local.simulated.lifetimes import Lifetimes
from infra.local.simulated.refusals import Refusal
from infra.local.simulated.requests import bearer_tokens
from infra.local.simulated.rules import AuthorizationServer

Handler: TypeAlias = Callable[[Request], Response]
Routes: TypeAlias = Mapping[str, Handler]

# Every provider has it, next to an API of its own.
_RESOURCE = "/_resource"


class Vendor:
    """A provider of which only the preset is known. Vendors with more derive from it.

    - `redirect_parameters`: what a redirect with a code has, too.
    - `resource`: the path of a protected resource.
    """

    redirect_parameters: tuple[tuple[str, str], ...] = ()
    resource = _RESOURCE

    def __init__(self, rules: AuthorizationServer) -> None:
        self.rules = rules

    @classmethod
    def lifetimes_of(cls, provider: Provider) -> Lifetimes:
        """Return the lifetimes of codes and tokens at first."""
        return Lifetimes.of(provider)

    @classmethod
    def title_of(cls, provider: Provider) -> str:
        """Return the provider's name for people."""
        return provider.name

    def refuse(self, refusal: Refusal, *, status: int | None = None) -> Response:
        """Return the response to a refused request; `status` replaces the usual one."""
        return refusal_response(self.rules.provider, refusal, status=status)

    def routes_at(self, path: str) -> Routes | None:
        """Return the handlers at a path, by method."""
        return {"GET": self._resource} if path == _RESOURCE else None

    def _resource(self, request: Request) -> Response:
        refusal = self.refuse_token(request, "The access token is unknown or has expired.")
        return refusal or Response.json(200, {"account": "simulated"})

    def refuse_token(self, request: Request, detail: str) -> Response | None:
        """Refuse a request without a current access token (RFC 6750 §3.1)."""
        if any(map(self.rules.use_access_token, bearer_tokens(request))):
            return None
        challenge = ("www-authenticate", 'Bearer error="invalid_token"')
        return problem(401, "Unauthorized", detail, headers=(challenge,))
