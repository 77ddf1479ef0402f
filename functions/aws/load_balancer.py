"""Requests from a load balancer, with their query as it was sent."""

from collections.abc import Iterator
from typing import Any

from mangum.handlers.alb import ALB
from mangum.types import Scope


class LoadBalancer(ALB):
    """Mangum's reading of such events, but for the query.

    A load balancer decodes nothing, and Mangum does so name by name: what was given twice in two
    spellings is one then, and what is no UTF-8 is replaced. The application refuses both.
    """

    @property
    def scope(self) -> Scope:
        """Make an ASGI scope."""
        query = "&".join(f"{name}={value}" for name, value in _parameters(self.event))
        return {**super().scope, "query_string": query.encode()}


def _parameters(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """List names and values in the spelling of the request."""
    if (every := event.get("multiValueQueryStringParameters")) is None:
        yield from event["queryStringParameters"].items()
        return
    for name, values in every.items():
        yield from ((name, value) for value in values)
