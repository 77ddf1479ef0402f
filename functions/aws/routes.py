"""The endpoints of the function: the token's is there from the start, others with their request.

Most requests ask for a token. The import of all other endpoints would lengthen each cold start.
"""

from collections.abc import Iterator, Mapping

from functions.endpoints.token import ROUTES as TOKEN_ROUTES
from functions.routes import Endpoint, Routes


class TokenFirst(Mapping[str, Mapping[str, Endpoint]]):
    """All routes. The first look at another path than the token's imports them."""

    def __getitem__(self, path: str) -> Mapping[str, Endpoint]:
        """Return the methods of a path. Raises KeyError."""
        return TOKEN_ROUTES[path] if path in TOKEN_ROUTES else _all_routes()[path]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the paths."""
        return iter(_all_routes())

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(_all_routes())


def _all_routes() -> Routes:
    from functions.asgi import ALL_ROUTES

    return ALL_ROUTES
