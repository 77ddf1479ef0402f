"""Short descriptions of failed requests, for logs and people, without secrets."""

import re
import ssl
from collections.abc import Iterator

import httpx

_LONGEST = 160
_STATUS = re.compile(r"[1-5][0-9]{2}\b")


class HostTooNearError(Exception):
    """A host that an outsider has named is inside this network."""


def reason_of(error: BaseException) -> str:
    """Name the error, and the detail of its cause that helps to correct it."""
    name = type(error).__name__
    detail = next(filter(None, map(_detail, _causes(error))), None)
    return f"{name}: {detail}"[:_LONGEST] if detail else name


def _causes(error: BaseException) -> Iterator[BaseException]:
    while True:
        yield error
        within = error.__cause__ or error.__context__
        if isinstance(error, BaseExceptionGroup):
            within = error.exceptions[-1]
        if within is None:
            return
        error = within


def _detail(error: BaseException) -> str | None:
    match error:
        case HostTooNearError():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"{error.verify_message.rstrip('.')} (see SSL_CERT_FILE)"
        case ssl.SSLError():
            return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
        case OSError(strerror=str(text)):
            return text
        case httpx.ProxyError():
            # The rest of the message is the proxy's own text.
            status = _STATUS.match(str(error))
            return f"the proxy answered {status[0]}" if status else "the proxy does not answer"
        case _:
            return None
