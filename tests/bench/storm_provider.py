"""A provider for the storm, as a process: it takes its time, rotates, and counts.

`python -m tests.bench.storm_provider --port N --seconds S` serves until interrupted. A refresh
token is `CONNECTION.GENERATION`, and works once.
"""

import argparse
import asyncio
from collections import Counter
from urllib.parse import parse_qs

import uvicorn

from functions.http.messages import Receive, Request, Response, Scope, Send


class StormProvider:
    """An ASGI application: the token endpoint, and what it has counted so far."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = await Request.from_asgi(scope, receive)
        if request.method == "GET":
            response = Response.json(200, dict(self._calls))
        else:
            response = await self._refresh(parse_qs(request.body.decode())["refresh_token"][0])
        await response.send(send)

    async def _refresh(self, refresh_token: str) -> Response:
        self._calls[refresh_token] += 1
        is_first = self._calls[refresh_token] == 1
        await asyncio.sleep(self._seconds)
        if not is_first:
            return Response.json(400, {"error": "invalid_grant"})
        connection, _, generation = refresh_token.partition(".")
        new = f"{connection}.{int(generation) + 1}"
        return Response.json(
            200,
            {
                "access_token": f"access {new}",
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": new,
            },
        )


def main() -> None:
    """Serve on a loopback port until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    uvicorn.run(
        StormProvider(options.seconds),
        port=options.port,
        lifespan="off",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
