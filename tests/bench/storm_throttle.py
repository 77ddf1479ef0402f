"""A DynamoDB table of little capacity, as a process: it refuses calls beyond the capacity.

As DynamoDB does, it saves the unused capacity of the last seconds for a burst.
"""

import argparse
import time

import httpx
import uvicorn

from functions.http.messages import Receive, Request, Response, Scope, Send

_BURST_SECONDS = 2.0
_OF_A_CONNECTION = {b"host", b"content-length", b"accept-encoding", b"connection"}
_TOO_MUCH = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}


class Throttle:
    """An ASGI application in front of another server."""

    def __init__(self, upstream: str, *, calls_a_second: float) -> None:
        self._client = httpx.AsyncClient(base_url=upstream, trust_env=False, timeout=30)
        self._rate = calls_a_second
        self._left = calls_a_second * _BURST_SECONDS
        self._at = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        request = await Request.from_asgi(scope, receive)
        if request.method == "GET":
            response = Response.json(200, {})
        elif self._may_pass():
            response = await self._pass_on(request)
        else:
            response = Response.json(400, _TOO_MUCH, headers=(("x-amzn-requestid", "refused"),))
        await response.send(send)

    def _may_pass(self) -> bool:
        now = time.monotonic()
        grown = self._left + (now - self._at) * self._rate
        self._left, self._at = min(grown, self._rate * _BURST_SECONDS), now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def _pass_on(self, request: Request) -> Response:
        headers = [header for header in request.headers if header[0] not in _OF_A_CONNECTION]
        answer = await self._client.post("/", content=request.body, headers=headers)
        return Response(
            status=answer.status_code,
            body=answer.content,
            content_type=answer.headers.get("content-type", "application/x-amz-json-1.0"),
            headers=(("x-amzn-requestid", answer.headers["x-amzn-requestid"]),),
        )


def main() -> None:
    """Serve on a loopback port until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--calls-a-second", type=float, required=True)
    options = parser.parse_args()
    uvicorn.run(
        Throttle(options.upstream, calls_a_second=options.calls_a_second),
        port=options.port,
        lifespan="off",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
