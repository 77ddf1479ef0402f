"""A load balancer's requests, with their original query."""

from collections.abc import Iterator
from typing import Any

from mangum.handlers.alb import ALB
from mangum.types import Scope


class LoadBalancer(ALB):
    """Mangum's handler, except for the query.

    A load balancer passes the query undecoded. Mangum decodes each name, which merges two spellings
    of a parameter and replaces invalid UTF-8; the application refuses both.
    """

    @property
    def scope(self) -> Scope:
        """Return the ASGI scope."""
        query = "&".join(f"{name}={value}" for name, value in _parameters(self.event))
        return {**super().scope, "query_string": query.encode()}


def _parameters(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and values as the request spells them."""
    if (every := event.get("multiValueQueryStringParameters")) is None:
        yield from event["queryStringParameters"].items()
        return
    for name, values in every.items():
        yield from ((name, value) for value in values)
