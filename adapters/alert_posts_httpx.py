"""Alerts as HTTP requests: certificates are checked, and no redirect is followed."""

import httpx

from adapters.failure_reasons import reason_of
from adapters.provider_http import provider_client, read_body, run_in_time
from adapters.redaction import Redaction
from adapters.retry_after import read_retry_after
from ports.alert_transport import TIME_LIMIT, DeliveryTimeoutError, NotDeliveredError, Post
from ports.network_settings import NetworkSettingsError

# A refusal has a sentence.
_LONGEST_ANSWER = 16 * 1024


class HttpxPosts:
    """Sends each request on its own connection, through the proxy of the environment."""

    async def send(self, item: Post) -> None:
        """Send a request; any status of 2xx is success. Raises NotDeliveredError."""
        try:
            await run_in_time(_send(item), TIME_LIMIT)
        except TimeoutError as error:
            seconds = TIME_LIMIT.total_seconds()
            raise DeliveryTimeoutError(f"no answer within {seconds:g} s") from error
        except httpx.TimeoutException as error:
            raise DeliveryTimeoutError(f"no answer ({reason_of(error)})") from None
        except NetworkSettingsError as error:
            raise NotDeliveredError(str(error)) from error
        # OSError: the certificate authorities cannot be loaded. UnicodeError: a host is too long.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # Its text may have the URL, which is a secret.
            raise NotDeliveredError(f"no answer ({reason_of(error)})") from None


async def _send(post: Post) -> None:
    async with (
        provider_client() as http,
        http.stream("POST", post.url, headers=post.headers, content=post.body) as response,
    ):
        body = await read_body(response, most=_LONGEST_ANSWER)
        if response.is_success:
            return
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise NotDeliveredError(
            _describe(response.status_code, body, post),
            status=response.status_code,
            retry_after=read_retry_after(headers),
            body=body,
        )


def _describe(status: int, body: bytes, post: Post) -> str:
    if status in range(300, 400):
        return f"the answer is a redirect ({status}), which is not followed: correct the URL"
    said = Redaction(post.secrets).quote(body.decode("utf-8", "replace"))
    return f"status {status}: {said}" if said else f"status {status}"
