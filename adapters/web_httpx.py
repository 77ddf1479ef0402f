"""Single requests over HTTP: certificates are checked, and no redirect is followed."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ssl import cert_time_to_seconds

import httpx

from adapters.provider_http import provider_client, read_body, run_in_time
from ports.web import NoWebAnswerError, WebAnswer

# The longest response of interest is the OpenAPI document, about 200 KiB.
_LONGEST_BODY = 1024 * 1024
_LIMIT = timedelta(seconds=5)


class HttpxWeb:
    """Sends each request on its own connection."""

    def __init__(self, *, limit: timedelta = _LIMIT) -> None:
        """`limit` is for a whole request and its response."""
        self._limit = limit

    async def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> WebAnswer:
        """Send a request without a body and return the response. Raises NoWebAnswerError."""
        try:
            return await run_in_time(_ask(method, url, headers or {}), self._limit)
        except TimeoutError as error:
            seconds = self._limit.total_seconds()
            raise NoWebAnswerError(f"no answer within {seconds:g} s") from error
        # OSError: the certificate authorities cannot be loaded. UnicodeError: a host is too long.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise NoWebAnswerError(f"{error}" or type(error).__name__) from error


async def _ask(method: str, url: str, headers: Mapping[str, str]) -> WebAnswer:
    async with provider_client() as http:
        sent_at, start = datetime.now(UTC), time.monotonic()
        plain = {"accept": "application/json", "accept-encoding": "identity"}
        async with http.stream(method, url, headers={**plain, **headers}) as response:
            received_at, took = datetime.now(UTC), timedelta(seconds=time.monotonic() - start)
            return WebAnswer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await read_body(response, most=_LONGEST_BODY),
                sent_at=sent_at,
                received_at=received_at,
                took=took,
                certificate_expires_at=_certificate_expires_at(response),
            )


def _certificate_expires_at(response: httpx.Response) -> datetime | None:
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    return datetime.fromtimestamp(cert_time_to_seconds(certificate["notAfter"]), UTC)
